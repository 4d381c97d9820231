package turntcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// window datagrams at most are under way, so few that no socket buffer on loopback overflows: what
// is lost then is lost by us.
const window = 64

// echo sends n datagrams in trains through a server to an echo peer and fails if one of them does
// not come back, or not in its turn.
func echo(t testing.TB, srv *testServer, conn net.Conn, n, train, size int) {
	t.Helper()
	credit := make(chan struct{}, window)
	done := make(chan struct{})
	var next atomic.Uint64
	c := NewClient(conn, ClientConfig{Username: testUser, Password: testPassword, OnData: func(d Data) {
		if got, want := binary.BigEndian.Uint64(d.Payload), next.Load(); got != want || len(d.Payload) != size {
			t.Errorf("datagram %d of %d bytes came, want %d of %d", got, len(d.Payload), want, size)
		}
		if next.Add(1) == uint64(n) {
			close(done)
		}
		<-credit
	}})
	defer c.Close()
	if _, err := c.Allocate(context10(t)); err != nil {
		t.Fatal(err)
	}
	number, err := c.Bind(context10(t), echoPeer(t))
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, size)
	var frames []byte
	for i := range n {
		credit <- struct{}{}
		binary.BigEndian.PutUint64(payload, uint64(i))
		frames = AppendChannelData(frames, number, payload)
		if i%train == train-1 || i == n-1 {
			if err := c.WriteFrames(frames); err != nil {
				t.Fatal(err)
			}
			frames = frames[:0]
		}
	}
	select {
	case <-done:
	case <-c.Done():
		t.Fatalf("the client ended: %v", c.Err())
	case <-time.After(30 * time.Second):
		t.Fatalf("%d of %d came back", next.Load(), n)
	}
}

func TestNothingIsLost(t *testing.T) {
	for _, transport := range transports {
		for _, train := range []int{1, 8} {
			t.Run(fmt.Sprintf("%s/trains of %d", transport, train), func(t *testing.T) {
				srv := newTestServer(t, allowLoopback)
				echo(t, srv, dial(t, transport, srv.addr[transport]), 10000, train, 1200)
			})
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, transport := range transports {
		for _, train := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/trains of %d", transport, train), func(b *testing.B) {
				srv := newTestServer(b, allowLoopback)
				conn := dial(b, transport, srv.addr[transport])
				b.ReportAllocs()
				b.ResetTimer()
				echo(b, srv, conn, b.N, train, 1200)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
			})
		}
	}
}
