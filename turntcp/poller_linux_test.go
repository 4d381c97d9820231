package turntcp

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Allocations at rest have no goroutine but that of their connection.
func TestIdleRelayHasNoGoroutine(t *testing.T) {
	srv := newTestServer(t, nil)
	const n = 20
	for range n {
		newPlainClient(t, srv).allocate(t)
	}
	eventually(t, "one goroutine for each allocation", func() bool { return serverGoroutines() == n })
}

// serverGoroutines counts those that run code of pion's server or of ours, but not the clients'.
func serverGoroutines() (n int) {
	buf := make([]byte, 4<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		ours := strings.Contains(g, "turntcp.(*conn)") || strings.Contains(g, "allocation.(*Allocation)") || strings.Contains(g, "turntcp.(*relay)")
		if ours {
			n++
		}
	}
	return n
}

// More relays than a poller looks at in one go all get what is theirs, and one that is flooded does not keep the
// others from it.
func TestPollerServesAll(t *testing.T) {
	rs := newRelays([]RelayAddr{{Local: loopback}}, PortRange{20000, 60000}, nil)
	t.Cleanup(rs.pollers.close)
	peer := udpSocket(t)
	const n = 3 * maxEvents
	got := make(chan struct{}, n)
	const flooded = 0
	var lots atomic.Int32 // of what floods it that were read
	var relays []*relay
	for i := range n {
		r, _, err := rs.open(wish{})
		if err != nil {
			t.Fatal(err)
		}
		r.deliver = func(in *inbox) {
			if i == flooded {
				lots.Add(1)
				time.Sleep(time.Millisecond) // so that there is always more
				return
			}
			got <- struct{}{}
		}
		relays = append(relays, r)
		t.Cleanup(func() { r.Close() })
		if _, err := peer.WriteToUDPAddrPort([]byte("before it is read"), r.addr()); err != nil {
			t.Fatal(err)
		}
		if err := r.read(); err != nil {
			t.Fatal(err)
		}
	}
	for _, flooding := range []bool{false, true} {
		if flooding {
			flood(t, relays[flooded].addr())
			eventually(t, "the flood is read", func() bool { return lots.Load() > 10 })
			for _, r := range relays[1:] {
				if _, err := peer.WriteToUDPAddrPort([]byte("while it is read"), r.addr()); err != nil {
					t.Fatal(err)
				}
			}
		}
		deadline := time.After(10 * time.Second)
		for seen := 1; seen < n; seen++ { // each once
			select {
			case <-got:
			case <-deadline:
				t.Fatalf("%d of %d relays were read; beside a flood: %v", seen, n-1, flooding)
			}
		}
	}
}

// flood sends until the test's end.
func flood(t *testing.T, to netip.AddrPort) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	t.Cleanup(func() { close(stop); done.Wait() })
	from := udpSocket(t)
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = from.WriteToUDPAddrPort(make([]byte, 100), to)
			}
		}
	})
}

// Relays that come and go while others are read: what comes to one is never given to another that has its
// descriptor now, and each is drained once.
func TestPollerWithChange(t *testing.T) {
	rs := newRelays([]RelayAddr{{Local: loopback}}, PortRange{20000, 60000}, nil)
	t.Cleanup(rs.pollers.close)
	var workers sync.WaitGroup
	for range 4 {
		peer := udpSocket(t)
		workers.Go(func() {
			for range 100 {
				r, _, err := rs.open(wish{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := useRelay(r, peer); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// useRelay reads a relay until it has got its own address, closes it, and waits until it is drained.
func useRelay(r *relay, peer *net.UDPConn) error {
	own := r.addr().String()
	got := make(chan string, 10)
	drained := make(chan struct{})
	r.deliver = func(in *inbox) {
		_, payload, _ := in.message(0)
		got <- string(payload)
	}
	r.drained = func() { close(drained) } // panics if it is called twice
	if err := r.read(); err != nil {
		return err
	}
	if _, err := peer.WriteToUDPAddrPort([]byte(own), r.addr()); err != nil {
		return err
	}
	timeout := time.After(10 * time.Second)
	select {
	case payload := <-got:
		if payload != own {
			return fmt.Errorf("relay %s got what is for %s", own, payload)
		}
	case <-timeout:
		return fmt.Errorf("relay %s got nothing within 10 s", own)
	}
	r.Close()
	select {
	case <-drained:
		return nil
	case <-timeout:
		return fmt.Errorf("relay %s was not drained within 10 s", own)
	}
}

// A socket whose buffer stays full holds up its client for a short time, and then loses what does not fit.
func TestFullSendBuffer(t *testing.T) {
	l := newLink(t)
	run(t, "ip", "netns", "exec", l.netns[0], "tc", "qdisc", "add", "dev", l.dev[0], "root", "tbf",
		"rate", "1mbit", "burst", "4kb", "limit", "1mb")
	r, peer := relayOn(t, l)
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10); err != nil {
		t.Fatal(err)
	}
	b := sendBatches.Get().(*sendBatch)
	defer sendBatches.Put(b)
	for !b.full() {
		b.add(addrPort(peer.LocalAddr()), make([]byte, 1200)) // all of it takes 0.6 s
	}
	start := time.Now()
	packets, _, failed := b.send(r)
	if took := time.Since(start); packets == 0 || failed == 0 || packets+failed != sendBatchSize || took > 5*time.Second {
		t.Errorf("%d sent and %d lost within %v, want some of each of %d, within 0.2 s", packets, failed, took, sendBatchSize)
	}
	b.add(addrPort(peer.LocalAddr()), make([]byte, 1200))
	r.Close()
	if _, _, failed := b.send(r); failed != 1 {
		t.Errorf("%d failed on a closed relay, want 1", failed)
	}
}
