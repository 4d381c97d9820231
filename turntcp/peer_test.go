package turntcp

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/pion/stun/v4"
)

func peerAt(port uint16) netip.AddrPort { return netip.AddrPortFrom(loopback, port) }

// Every peer has counters of its own, whatever way its data takes: by a channel, by indications to a port
// that the permission named, or to another port of that address.
func TestPeersAreCounted(t *testing.T) {
	var told []PeerPermission
	srv := newTestServer(t, func(c *Config) {
		allowLoopback(c)
		c.OnPeer = func(p PeerPermission) { told = append(told, p) }
	})
	c, a, number, channel := bound(t, srv, "tls")
	named, unnamed := peerSocket{udpSocket(t)}, peerSocket{udpSocket(t)}
	if _, err := c.do(context10(t), stun.MethodCreatePermission, peerAddress(addrPort(named.LocalAddr()))); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteChannel(number, []byte("by channel")); err != nil {
		t.Fatal(err)
	}
	channel.receive(t)
	for i, peer := range []peerSocket{named, unnamed} {
		for range 2 + i {
			if err := c.Send(addrPort(peer.LocalAddr()), []byte("sent")); err != nil {
				t.Fatal(err)
			}
			peer.receive(t)
			if _, err := peer.WriteToUDPAddrPort([]byte("answer"), a.Relayed); err != nil {
				t.Fatal(err)
			}
			c.receive(t)
		}
	}
	want := []PeerStats{
		{netip.AddrPortFrom(loopback, 0), Traffic{3, 12}, Traffic{3, 18}},
		{addrPort(channel.LocalAddr()), Traffic{1, 10}, Traffic{}},
		{addrPort(named.LocalAddr()), Traffic{2, 8}, Traffic{2, 12}},
	}
	slices.SortFunc(want, func(a, b PeerStats) int { return int(a.Peer.Port()) - int(b.Peer.Port()) })
	srv.allocationStats(t, "each peer's traffic", func(s AllocationStats) bool { return reflect.DeepEqual(s.Peers, want) })
	for i, at := range []netip.AddrPort{addrPort(channel.LocalAddr()), addrPort(named.LocalAddr())} {
		by := []string{ByChannel, ByPermission}[i]
		if i >= len(told) || told[i].Peer != at || told[i].By != by || told[i].User != testUser || told[i].Relay != a.Relayed ||
			told[i].TLSVersion == 0 {
			t.Fatalf("told of %+v, want %v by %s as number %d", told, at, by, i)
		}
	}
	if len(told) != 2 {
		t.Errorf("told of %+v, want two peers", told)
	}
}

// Beyond maxPeers what is exchanged is counted, but not by whom; channels are found all the same.
func TestPeersAreBounded(t *testing.T) {
	table := newTable()
	table.permit(loopback)
	for port := range uint16(maxPeers - 1) {
		if p, first := table.know(peerAt(port + 1)); !first || p.at != peerAt(port+1) {
			t.Fatalf("peer %d is not known", port)
		}
	}
	many := peerAt(60000)
	if p, first := table.know(many); first || p.at.IsValid() {
		t.Errorf("peer %v: got %+v, %v, want one of the others, of a known address", many, p, first)
	}
	if _, first := table.know(netip.MustParseAddrPort("10.0.0.1:1")); !first {
		t.Error("a new address goes untold")
	}
	for range 3 {
		table.bind(firstChannel, many)
		p, permitted := table.bound(firstChannel)
		if p == nil || !permitted || p.at != many {
			t.Fatalf("its channel: %+v, %v", p, permitted)
		}
		p.up.add(1, 100)
		if from, channel := table.peer(many); from != p || channel != firstChannel {
			t.Errorf("what it sends goes by channel %#x of %+v", channel, from)
		}
		table.unbind(firstChannel)
	}
	if len(table.known) != maxPeers {
		t.Errorf("%d entries, want %d", len(table.known), maxPeers)
	}
	all := table.peerStats()
	if got, want := all[0], (PeerStats{Up: Traffic{3, 300}}); got != want || len(all) != maxPeers {
		t.Errorf("the others: got %+v of %d, want %+v of %d", got, len(all), want, maxPeers)
	}
}
