//go:build linux

package testproxy

import (
	"net"
	"os"
	"testing"
)

// A tunnel at rest takes two descriptors of the proxy and no more, so that a lab carries as many as a
// process may have.
func TestIdleTunnelTakesTwoDescriptors(t *testing.T) {
	p := start(t, &Proxy{})
	quiet := target(t, func(nc net.Conn) { nc.Read(make([]byte, 1)) })
	const tunnels = 20
	before := descriptors(t)
	for range tunnels {
		c := dialRaw(t, p)
		c.connect(quiet)
		c.expect(200)
	}
	// In this process are both ends of both connections of each tunnel.
	if got := descriptors(t) - before; got != 4*tunnels {
		t.Errorf("%d tunnels take %d descriptors with their ends, want %d", tunnels, got, 4*tunnels)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
