package turntcp

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// bound is a client with an allocation and a channel to a peer of ours.
func bound(t testing.TB, srv *testServer, transport string) (c *testClient, a Allocation, number uint16, peer *peerSocket) {
	t.Helper()
	c = newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
	a = c.allocate(t)
	peer = &peerSocket{udpSocket(t)}
	number, err := c.Bind(context10(t), addrPort(peer.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	return c, a, number, peer
}

// allocationStats waits until the only allocation's counters are as wished.
func (s *testServer) allocationStats(t testing.TB, what string, ok func(AllocationStats) bool) {
	t.Helper()
	var last AllocationStats
	eventually(t, what, func() (done bool) {
		s.Each(func(a AllocationStats) { last, done = a, ok(a) })
		return done
	})
	if t.Failed() {
		t.Logf("the last counters: %+v", last)
	}
}

// The largest datagram goes both ways, by channel and by indication.
func TestLargestDatagram(t *testing.T) {
	const largest = 65507
	for _, transport := range transports {
		srv := newTestServer(t, allowLoopback)
		c, a, number, peer := bound(t, srv, transport)
		payload := bytes.Repeat([]byte("large"), largest)[:largest]
		if err := c.WriteChannel(number, payload); err != nil {
			t.Fatal(err)
		}
		if got := peer.receive(t); !bytes.Equal(got, payload) {
			t.Errorf("%s: the peer got %d bytes, want %d", transport, len(got), largest)
		}
		stranger := udpSocket(t) // without a channel
		for _, from := range []*peerSocket{peer, {stranger}} {
			if _, err := from.WriteToUDPAddrPort(payload, a.Relayed); err != nil {
				t.Fatal(err)
			}
			if got := c.receive(t); got.payload != string(payload) {
				t.Errorf("%s: the client got %d bytes, want %d", transport, len(got.payload), largest)
			}
		}
	}
}

// What is larger than any datagram is dropped and counted, and those after it arrive.
func TestTooLargeIsDropped(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	c, _, number, peer := bound(t, srv, "tcp")
	for _, payload := range []string{string(make([]byte, 65535)), "next"} {
		if err := c.WriteChannel(number, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if got := peer.receive(t); string(got) != "next" {
		t.Errorf("the peer got %d bytes, want the next datagram", len(got))
	}
	srv.allocationStats(t, "one unsent", func(s AllocationStats) bool {
		return s.Drops.Unsent == 1 && s.Up == Traffic{1, 4}
	})
}

// An expired permission blocks a channel that is still bound, both ways, and no data refreshes it
// (RFC 8656 sections 9 and 12).
func TestExpiredPermissionBlocksChannel(t *testing.T) {
	srv := newTestServer(t, func(c *Config) {
		allowLoopback(c)
		c.permissionTimeout = 300 * time.Millisecond
	})
	c, a, number, peer := bound(t, srv, "tcp")
	flow := onlyFlow(t, srv)
	at := addrPort(peer.LocalAddr())
	eventually(t, "the permission expires while data flows", func() bool {
		if err := c.WriteChannel(number, []byte("up")); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(at, []byte("up")); err != nil {
			t.Fatal(err)
		}
		return !flow.table.permits(loopback)
	})
	if bound, permitted := flow.table.bound(number); bound == nil || permitted {
		t.Fatalf("the channel is bound: %v, want true; permitted: %v, want false", bound != nil, permitted)
	}
	if _, err := c.Binding(context10(t)); err != nil { // by now all of that has been handled
		t.Fatal(err)
	}
	for _, send := range []func() error{
		func() error { return c.WriteChannel(number, []byte("late")) },
		func() error { return c.Send(at, []byte("late")) },
		func() error { _, err := peer.WriteToUDPAddrPort([]byte("late"), a.Relayed); return err },
	} {
		before := flow.counts.noPermission.Load()
		if err := send(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is dropped", func() bool { return flow.counts.noPermission.Load() == before+1 })
	}
	if err := c.CreatePermission(context10(t), loopback); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.WriteToUDPAddrPort([]byte("again"), a.Relayed); err != nil {
		t.Fatal(err)
	}
	if got, want := c.receive(t), (datagram{number, at, "again"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// onlyFlow waits for the only allocation of a server.
func onlyFlow(t testing.TB, srv *testServer) (f *flow) {
	t.Helper()
	eventually(t, "there is an allocation", func() bool {
		srv.mu.Lock()
		defer srv.mu.Unlock()
		for c := range srv.conns {
			f = c.flow()
		}
		return f != nil
	})
	return f
}

// Send indications that are to be discarded, by reason, and one that is not.
func TestSendIndications(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	c, _, _, peer := bound(t, srv, "tcp")
	at := addrPort(peer.LocalAddr())
	data := stun.RawAttribute{Type: stun.AttrData, Value: []byte("data")}
	send := stun.NewType(stun.MethodSend, stun.ClassIndication)
	tests := []struct {
		name string
		with []stun.Setter
		want Drops
	}{
		{"DONT-FRAGMENT", []stun.Setter{peerAddress(at), data, stun.RawAttribute{Type: stun.AttrDontFragment}}, Drops{Malformed: 1}},
		{"unknown attribute", []stun.Setter{peerAddress(at), data, stun.RawAttribute{Type: 0x7abc}}, Drops{Malformed: 1}},
		{"no peer", []stun.Setter{data}, Drops{Malformed: 1}},
		{"no data", []stun.Setter{peerAddress(at)}, Drops{Malformed: 1}},
		{"empty peer", []stun.Setter{stun.RawAttribute{Type: stun.AttrXORPeerAddress}, data}, Drops{Malformed: 1}},
		{"IPv6 peer", []stun.Setter{peerAddress(netip.MustParseAddrPort("[2001:db8::1]:9")), data}, Drops{NoPermission: 1}},
		{"peer without permission", []stun.Setter{peerAddress(netip.MustParseAddrPort("127.0.0.2:9")), data}, Drops{NoPermission: 1}},
		{"port 0", []stun.Setter{peerAddress(netip.AddrPortFrom(loopback, 0)), data}, Drops{Forbidden: 1}},
		{"two peers", []stun.Setter{peerAddress(at), peerAddress(netip.MustParseAddrPort("127.0.0.2:9")), data}, Drops{}},
		{"optional attribute", []stun.Setter{peerAddress(at), data, stun.RawAttribute{Type: 0x8abc}}, Drops{}},
		{"credentials", []stun.Setter{peerAddress(at), data, stun.NewUsername(testUser)}, Drops{}},
	}
	var before AllocationStats
	for _, tt := range tests {
		m := stun.MustBuild(append([]stun.Setter{stun.TransactionID, send}, tt.with...)...)
		if err := c.WriteFrames(m.Raw); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Binding(context10(t)); err != nil { // by now it has been handled
			t.Fatal(err)
		}
		now := onlyFlow(t, srv).stats()
		got := Drops{
			Malformed:    now.Drops.Malformed - before.Drops.Malformed,
			NoPermission: now.Drops.NoPermission - before.Drops.NoPermission,
			Forbidden:    now.Drops.Forbidden - before.Drops.Forbidden,
		}
		if got != tt.want {
			t.Errorf("%s: dropped %+v, want %+v", tt.name, got, tt.want)
		}
		if relayed := now.Up.Packets - before.Up.Packets; (relayed == 1) != (tt.want == Drops{}) {
			t.Errorf("%s: %d packets were relayed", tt.name, relayed)
		}
		before = now
	}
}

// A peer that has a channel is reached by Send indications all the same, but answers by the channel
// (RFC 8656 sections 11.3 and 12).
func TestAnswersUseTheChannel(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	echo := echoPeer(t)
	number, err := c.Bind(context10(t), echo)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(echo, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, want := c.receive(t), (datagram{number, echo, "x"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The counters at an allocation's end, of which the hook is told.
func TestOnAllocationEnd(t *testing.T) {
	ways := map[string]func(*testing.T, *testClient){
		"refresh with 0": func(t *testing.T, c *testClient) {
			if _, err := c.Refresh(context10(t), 0); err != nil {
				t.Fatal(err)
			}
		},
		"disconnect": func(_ *testing.T, c *testClient) { c.Close() },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			ended := make(chan AllocationStats, 10)
			srv := newTestServer(t, func(c *Config) {
				allowLoopback(c)
				c.OnAllocationEnd = func(s AllocationStats) { ended <- s }
			})
			c, a, number, peer := bound(t, srv, "tcp")
			frames := AppendChannelData(nil, number, []byte("four"))
			frames = AppendChannelData(frames, number, []byte("seven.."))
			frames = AppendChannelData(frames, number+1, []byte("on no channel"))
			if err := c.WriteFrames(frames); err != nil {
				t.Fatal(err)
			}
			peer.receive(t)
			peer.receive(t)
			if _, err := peer.WriteToUDPAddrPort([]byte("five."), a.Relayed); err != nil {
				t.Fatal(err)
			}
			c.receive(t)
			srv.allocationStats(t, "five bytes down", func(s AllocationStats) bool { return s.Down.Bytes == 5 })
			end(t, c)
			select {
			case got := <-ended:
				want := AllocationStats{
					ConnInfo: got.ConnInfo, User: testUser, Relay: a.Relayed, Created: got.Created,
					Up: Traffic{2, 11}, Down: Traffic{1, 5}, Drops: Drops{NoChannel: 1},
					Peers:   []PeerStats{{addrPort(peer.LocalAddr()), Traffic{2, 11}, Traffic{1, 5}}},
					TCPInfo: got.TCPInfo, Reason: got.Reason, Err: got.Err,
				}
				if !reflect.DeepEqual(got, want) || got.Client.String() != c.conn.LocalAddr().String() || got.Created.IsZero() {
					t.Errorf("got %+v, want %+v", got, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the hook was not told within 10 s")
			}
			expectAllocations(t, srv, 0)
			if len(ended) != 0 {
				t.Error("the hook was told twice")
			}
		})
	}
}

func expectAllocations(t testing.TB, srv *testServer, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d allocations", want), func() bool {
		n := 0
		srv.Each(func(AllocationStats) { n++ })
		return n == want && srv.Allocations() == want
	})
}
