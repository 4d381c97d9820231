package turntcp

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turngate/turngate/internal/peers"
)

// A link is a pair of network interfaces in namespaces of their own, with an MTU of 1500 bytes.
type link struct {
	netns [2]string
	addr  [2]netip.Addr
	dev   [2]string
}

func newLink(t testing.TB) link {
	t.Helper()
	peers.Need(t, "ip")
	if os.Getuid() != 0 {
		if peers.Required() {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	id := fmt.Sprint(os.Getpid()%10000, "x", time.Now().UnixNano()%10000)
	l := link{
		netns: [2]string{"tga" + id, "tgb" + id},
		addr:  [2]netip.Addr{netip.MustParseAddr("10.231.7.1"), netip.MustParseAddr("10.231.7.2")},
		dev:   [2]string{"tga" + id, "tgb" + id},
	}
	for _, ns := range l.netns {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "del", ns) })
	}
	run(t, "ip", "-n", l.netns[0], "link", "add", l.dev[0], "mtu", "1500", "type", "veth", "peer", "name", l.dev[1], "mtu", "1500", "netns", l.netns[1])
	for i, ns := range l.netns {
		run(t, "ip", "-n", ns, "addr", "add", l.addr[i].String()+"/24", "dev", l.dev[i])
		run(t, "ip", "-n", ns, "link", "set", "lo", "up")
		run(t, "ip", "-n", ns, "link", "set", l.dev[i], "up")
	}
	return l
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(peers.Find(name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// within calls f in a network namespace, where it may open sockets; they stay there.
func (l link) within(t testing.TB, end int, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + l.netns[end])
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// relayOn is a relay at one end of a link, and a peer at the other.
func relayOn(t testing.TB, l link) (r *relay, peer *peerSocket) {
	t.Helper()
	rs := newRelays([]RelayAddr{{Local: l.addr[0]}}, PortRange{20000, 60000}, nil)
	l.within(t, 0, func() (err error) { r, _, err = rs.open(wish{}); return err })
	t.Cleanup(func() { r.Close() })
	l.within(t, 1, func() error {
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: l.addr[1].AsSlice()})
		peer = &peerSocket{u}
		return err
	})
	t.Cleanup(func() { peer.Close() })
	return r, peer
}

// numbered are payloads of the sizes, each of which can be told from the others.
func numbered(sizes ...int) (payloads [][]byte) {
	for i, size := range sizes {
		payloads = append(payloads, bytes.Repeat([]byte{byte(i + 1)}, size))
	}
	return payloads
}

func repeated(size, n int, more ...int) (sizes []int) {
	for range n {
		sizes = append(sizes, size)
	}
	return append(sizes, more...)
}

var segmentTrains = []struct {
	name     string
	sizes    []int
	messages int // that they go in, the first time
}{
	{"one", []int{1200}, 1},
	{"same size", repeated(1200, 8), 1},
	{"last is shorter", repeated(1200, 7, 300), 1},
	{"shorter, then more", []int{1200, 1200, 300, 300, 1200}, 3},
	{"growing", []int{100, 200, 300}, 3},
	{"empty among them", []int{160, 160, 0, 160}, 3},
	{"as large as the path takes", repeated(1472, 8), 1},
	{"larger than the path takes in one packet", repeated(2000, 5), 1},
	{"and again", repeated(2000, 5), 5}, // it is remembered
	{"smaller ones still go at once", repeated(1400, 8), 1},
	{"more bytes than a message holds", repeated(1400, 60), 2},
}

// On a path with an MTU of 1500 bytes everything arrives, in order and as it was.
func TestSegmentedSend(t *testing.T) {
	l := newLink(t)
	r, peer := relayOn(t, l)
	to := addrPort(peer.LocalAddr())
	for _, tt := range segmentTrains {
		b := sendBatches.Get().(*sendBatch)
		want := numbered(tt.sizes...)
		size := 0
		for _, p := range want {
			b.add(to, p)
			size += len(p)
		}
		if b.group(0, r.largestSegment); b.count != tt.messages {
			t.Errorf("%s: %d messages, want %d", tt.name, b.count, tt.messages)
		}
		packets, n, failed := b.send(r)
		sendBatches.Put(b)
		if packets != len(want) || n != size || failed != 0 {
			t.Errorf("%s: %d packets, %d bytes, %d failed, want %d, %d, 0", tt.name, packets, n, failed, len(want), size)
		}
		for i := range want {
			if got := peer.receive(t); !bytes.Equal(got, want[i]) {
				t.Fatalf("%s: datagram %d: got %d bytes of %x, want %d of %x", tt.name, i, len(got), got[:min(1, len(got))], len(want[i]), i+1)
			}
		}
	}
	if want := 1999; r.largestSegment != want {
		t.Errorf("segments of up to %d are tried, want %d", r.largestSegment, want)
	}
}

// A device that cannot segment, and each train that goes to several peers.
func TestSegmentedSendToSeveral(t *testing.T) {
	for _, largest := range []int{0, maxSegmented} {
		l := newLink(t)
		r, one := relayOn(t, l)
		r.largestSegment = largest
		_, other := relayOn(t, l)
		b := sendBatches.Get().(*sendBatch)
		for range 4 {
			b.add(addrPort(one.LocalAddr()), []byte("one's"))
			b.add(addrPort(one.LocalAddr()), []byte("one's"))
			b.add(addrPort(other.LocalAddr()), []byte("other"))
		}
		if packets, _, failed := b.send(r); packets != 12 || failed != 0 {
			t.Errorf("segments up to %d: %d sent, %d failed, want 12, 0", largest, packets, failed)
		}
		sendBatches.Put(b)
		for range 4 {
			for _, p := range []*peerSocket{one, one, other} {
				want := "one's"
				if p == other {
					want = "other"
				}
				if got := string(p.receive(t)); got != want {
					t.Errorf("segments up to %d: got %q, want %q", largest, got, want)
				}
			}
		}
	}
}

// The errors by which the kernel says that it cannot segment, and others.
func TestCannotSegment(t *testing.T) {
	tests := []struct {
		errno    unix.Errno
		segments int
		again    bool
		largest  int
	}{
		{unix.EMSGSIZE, 3, true, 999},
		{unix.EINVAL, 3, true, 999},
		{unix.EIO, 3, true, 0},
		{unix.ECONNREFUSED, 3, false, 2000},
		{unix.EMSGSIZE, 1, false, 2000},
	}
	for _, tt := range tests {
		r := &relay{relaySocket: relaySocket{largestSegment: 2000}}
		iov := unix.Iovec{}
		iov.SetLen(1000)
		m := &mmsghdr{}
		m.Iov = &iov
		m.SetIovlen(tt.segments)
		if got := r.cannotSegment(tt.errno, m); got != tt.again || r.largestSegment != tt.largest {
			t.Errorf("%v for %d segments: again %v up to %d, want %v up to %d", tt.errno, tt.segments, got, r.largestSegment, tt.again, tt.largest)
		}
	}
}

// What a peer sends segmented reaches the relay in one piece, and is cut again.
func TestSegmentedReceive(t *testing.T) {
	l := newLink(t)
	r, peer := relayOn(t, l)
	at := r.addr()
	file, err := peer.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sender := &relay{relaySocket: relaySocket{fd: int(file.Fd()), largestSegment: maxSegmented}}
	for _, tt := range segmentTrains {
		if tt.sizes[0] > 1472 {
			continue
		}
		b := sendBatches.Get().(*sendBatch)
		want := numbered(tt.sizes...)
		for _, p := range want {
			b.add(at, p)
		}
		b.group(0, maxSegmented)
		messages := b.count
		if _, _, failed := b.send(sender); failed != 0 {
			t.Fatalf("%s: %d failed", tt.name, failed)
		}
		sendBatches.Put(b)
		got, received := receiveCut(t, r, len(want))
		if received > messages {
			t.Errorf("%s: %d messages received, want %d at most", tt.name, received, messages)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%s: datagram %d: got %d bytes, want %d", tt.name, i, len(got[i]), len(want[i]))
			}
		}
	}
}

// receiveCut reads n datagrams, and says in how many messages they came.
func receiveCut(t testing.TB, r *relay, n int) (got [][]byte, messages int) {
	t.Helper()
	in := inboxes.Get().(*inbox)
	defer inboxes.Put(in)
	for len(got) < n {
		ready := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
		if some, err := unix.Poll(ready, 10_000); some != 1 || err != nil {
			t.Fatalf("%d of %d datagrams: %d, %v", len(got), n, some, err)
		}
		if errno := in.receive(uintptr(r.fd)); errno != 0 {
			t.Fatalf("%d of %d datagrams: %v", len(got), n, errno)
		}
		for i := range in.count() {
			messages++
			_, datagrams, size := in.message(i)
			for more := true; more; more = len(datagrams) > 0 {
				cut := min(size, len(datagrams))
				got = append(got, bytes.Clone(datagrams[:cut]))
				datagrams = datagrams[cut:]
			}
		}
	}
	return got, messages
}
