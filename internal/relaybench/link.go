//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turngate/turngate/internal/peers"
)

// A place is where a server is: its address, and the network namespace that has it.
type place struct {
	netns string // "" for that of this process
	ip    netip.Addr
}

var loopback = place{ip: netip.MustParseAddr("127.0.0.1")}

// within calls f in a network namespace, where it may open sockets; they stay there.
func within(netns string, f func() error) error {
	if netns == "" {
		return f()
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + netns)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		failed <- err
	}()
	return <-failed
}

// A link joins two network namespaces. What goes from the near end to the far one is throttled.
type link struct {
	near place
	far  string // a namespace
}

// newLink makes a link of so many Mbit/s. It needs root.
func newLink(rate int) (*link, error) {
	id := fmt.Sprint(os.Getpid(), "x", time.Now().UnixMilli()%1000)
	l := &link{near: place{"rba" + id, netip.MustParseAddr("10.231.8.1")}, far: "rbb" + id}
	for _, command := range []string{
		"ip netns add " + l.near.netns,
		"ip netns add " + l.far,
		fmt.Sprintf("ip -n %s link add near type veth peer name far netns %s", l.near.netns, l.far),
		fmt.Sprintf("ip -n %s addr add %v/24 dev near", l.near.netns, l.near.ip),
		fmt.Sprintf("ip -n %s addr add %v/24 dev far", l.far, l.near.ip.Next()),
		fmt.Sprintf("ip -n %s link set lo up", l.near.netns),
		fmt.Sprintf("ip -n %s link set near up", l.near.netns),
		fmt.Sprintf("ip -n %s link set far up", l.far),
		fmt.Sprintf("ip netns exec %s %s qdisc add dev near root tbf rate %dmbit burst 32kb limit 1mb", l.near.netns, peers.Find("tc"), rate),
	} {
		args := strings.Fields(command)
		if out, err := exec.Command(peers.Find(args[0]), args[1:]...).CombinedOutput(); err != nil {
			l.remove()
			return nil, fmt.Errorf("a throttled link, which needs root, ip and tc: %s: %w: %s", command, err, out)
		}
	}
	return l, nil
}

func (l *link) remove() {
	for _, ns := range []string{l.near.netns, l.far} {
		_ = exec.Command(peers.Find("ip"), "netns", "del", ns).Run()
	}
}
