package turntcp

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// A trial relays trains through a whole server on loopback, one after the other: client and peer are
// in this process too, and allocate nothing.
type trial struct {
	client net.Conn
	frames *FrameReader
	peer   *net.UDPConn
	relay  Allocation
	train  []byte // of ChannelData
	n      int    // datagrams in it
	buf    []byte

	indications []byte       // the same as Send indications; made when used
	other       *net.UDPConn // another port of the peer
}

func newTrial(t testing.TB, transport string, n, size int) *trial {
	srv := newTestServer(t, allowLoopback)
	conn := dial(t, transport, srv.addr[transport])
	handover := &handover{Conn: conn}
	c := NewClient(handover, ClientConfig{Username: testUser, Password: testPassword})
	tr := &trial{client: conn, peer: udpSocket(t), n: n, buf: make([]byte, 65536)}
	var err error
	if tr.relay, err = c.Allocate(context10(t)); err != nil {
		t.Fatal(err)
	}
	number, err := c.Bind(context10(t), addrPort(tr.peer.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	// The client's reader is stopped without a loss: nothing is under way.
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	<-c.Done()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	_ = tr.peer.SetReadDeadline(time.Now().Add(time.Minute))
	tr.frames = NewFrameReader(conn, 0)
	for range n {
		tr.train = AppendChannelData(tr.train, number, make([]byte, size))
	}
	return tr
}

// handover is a connection that its first owner cannot close.
type handover struct{ net.Conn }

func (handover) Close() error { return nil }

func (tr *trial) up(t testing.TB) {
	if _, err := tr.client.Write(tr.train); err != nil {
		t.Fatal(err)
	}
	for range tr.n {
		if _, _, err := tr.peer.ReadFromUDPAddrPort(tr.buf); err != nil {
			t.Fatal(err)
		}
	}
}

func (tr *trial) down(t testing.TB) {
	payload := Frame(tr.train).Payload()
	for range tr.n {
		if _, err := tr.peer.WriteToUDPAddrPort(payload, tr.relay.Relayed); err != nil {
			t.Fatal(err)
		}
	}
	for range tr.n {
		if _, err := tr.frames.ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}
}

var trains = []struct{ n, size int }{{8, 1200}, {1, 160}}

var directions = []struct {
	name  string
	relay func(*trial, testing.TB)
}{{"up", (*trial).up}, {"down", (*trial).down}}

// BenchmarkPlane relays trains through a server. ns/op and allocs/op are per packet, of the whole
// process.
func BenchmarkPlane(b *testing.B) {
	for _, transport := range transports {
		for _, way := range directions {
			for _, train := range trains {
				b.Run(fmt.Sprintf("%s/%s/%dx%d", transport, way.name, train.n, train.size), func(b *testing.B) {
					tr := newTrial(b, transport, train.n, train.size)
					b.ReportAllocs()
					b.ResetTimer()
					for i := 0; i < b.N; i += train.n {
						way.relay(tr, b)
					}
				})
			}
		}
	}
}
