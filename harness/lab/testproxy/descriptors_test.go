//go:build linux

package testproxy

import (
	"maps"
	"net"
	"os"
	"testing"
)

// A tunnel at rest takes two descriptors of the proxy and no more, so that a lab carries as many as a
// process may have.
func TestIdleTunnelTakesTwoDescriptors(t *testing.T) {
	p := start(t, &Proxy{})
	accepted := make(chan struct{})
	quiet := target(t, func(nc net.Conn) {
		accepted <- struct{}{}
		nc.Read(make([]byte, 1))
	})
	const tunnels = 20
	before := descriptors(t)
	for range tunnels {
		c := dialRaw(t, p)
		c.connect(quiet)
		c.expect(200)
		<-accepted
	}
	// In this process are both ends of both connections of each tunnel.
	added := descriptors(t)
	maps.DeleteFunc(added, func(what string, _ bool) bool { return before[what] })
	if len(added) != 4*tunnels {
		t.Errorf("%d tunnels take %d descriptors with their ends, want %d", tunnels, len(added), 4*tunnels)
	}
}

// descriptors is what this process has open, by names that no other file has: sockets of tests before this one may
// yet be closed.
func descriptors(t *testing.T) map[string]bool {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[string]bool)
	for _, fd := range list {
		if what, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			open[fd.Name()+" "+what] = true
		}
	}
	return open
}
