package turntcp

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

var loopback6 = netip.IPv6Loopback()

// needIPv6 skips where the machine has no IPv6 at all.
func needIPv6(t *testing.T) *net.UDPConn {
	t.Helper()
	peer, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("no IPv6 on this machine: %v", err)
	}
	t.Cleanup(func() { peer.Close() })
	return peer
}

var wantIPv6 = attribute(stun.AttrRequestedAddressFamily, familyIPv6, 0, 0, 0)

func allowLoopback6(c *Config) {
	c.RelayAddrs = []RelayAddr{{Local: loopback6}}
	c.AllowPeers = []netip.Prefix{netip.PrefixFrom(loopback, 32), netip.PrefixFrom(loopback6, 128)}
}

func TestRelayIPv6(t *testing.T) {
	peer := peerSocket{needIPv6(t)}
	at := addrPort(peer.LocalAddr())
	srv := newTestServer(t, allowLoopback6)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			c := newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
			response, err := allocateWith(context10(t), c, 17, wantIPv6)
			if err != nil {
				t.Fatal(err)
			}
			relayed, err := address(response, stun.AttrXORRelayedAddress)
			if err != nil || relayed.Addr() != loopback6 {
				t.Fatalf("got %v, %v, want a port of ::1", relayed, err)
			}
			if _, err := c.do(context10(t), stun.MethodRefresh, wantIPv6); err != nil {
				t.Errorf("refresh: %v", err)
			}
			if got := refusal(t, permit("127.0.0.1")(context10(t), c)); got != 443 {
				t.Errorf("a permission for an IPv4 peer: got %d, want 443", got)
			}
			_, err = c.do(context10(t), stun.MethodRefresh, attribute(stun.AttrRequestedAddressFamily, familyIPv4, 0, 0, 0))
			if got := refusal(t, err); got != 443 {
				t.Errorf("refresh of another family: got %d, want 443", got)
			}
			if err := c.CreatePermission(context10(t), loopback6); err != nil {
				t.Fatal(err)
			}
			for _, payload := range []string{"", "xyz", strings.Repeat("x", 1200), strings.Repeat("x", 60000)} {
				if err := c.Send(at, []byte(payload)); err != nil {
					t.Fatal(err)
				}
				if got := string(peer.receive(t)); got != payload {
					t.Errorf("the peer got %d bytes, want %d", len(got), len(payload))
				}
				if _, err := peer.WriteToUDPAddrPort([]byte(payload), relayed); err != nil {
					t.Fatal(err)
				}
				if got, want := c.receive(t), (datagram{0, at, payload}); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			number, err := c.Bind(context10(t), at)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.WriteChannel(number, []byte("by channel")); err != nil {
				t.Fatal(err)
			}
			if got := string(peer.receive(t)); got != "by channel" {
				t.Errorf("the peer got %q", got)
			}
			if _, err := peer.WriteToUDPAddrPort([]byte("by channel"), relayed); err != nil {
				t.Fatal(err)
			}
			if got, want := c.receive(t), (datagram{number, at, "by channel"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// A client that names no family gets IPv4, although there is IPv6; and a reserved port has that of
// the pair.
func TestFamilies(t *testing.T) {
	needIPv6(t)
	srv := newTestServer(t, allowLoopback6)
	for range 10 {
		if a := newPlainClient(t, srv).allocate(t); a.Relayed.Addr() != loopback {
			t.Errorf("got %v, want IPv4", a.Relayed)
		}
	}
	response, err := allocateWith(context10(t), newPlainClient(t, srv), 17, wantIPv6, attribute(stun.AttrEvenPort, 0x80))
	if err != nil {
		t.Fatal(err)
	}
	token, err := response.Get(stun.AttrReservationToken)
	if err != nil {
		t.Fatal(err)
	}
	other := newPlainClient(t, srv)
	if response, err = allocateWith(context10(t), other, 17, attribute(stun.AttrReservationToken, token...)); err != nil {
		t.Fatal(err)
	}
	if relayed, err := address(response, stun.AttrXORRelayedAddress); err != nil || relayed.Addr() != loopback6 {
		t.Errorf("the token gave %v, %v, want ::1", relayed, err)
	}
	if got := refusal(t, permit("::1")(context10(t), other)); got != 0 {
		t.Errorf("a permission for an IPv6 peer: got %d", got)
	}
}

// Two relays of a host behind a NAT reach each other by the public address that clients are told.
func TestRelayToRelayBehindNAT(t *testing.T) {
	public := netip.MustParseAddr("192.0.2.1")
	srv := newTestServer(t, func(c *Config) {
		c.RelayIP, c.RelayAddrs = netip.Addr{}, []RelayAddr{{Local: loopback, Public: public}}
	})
	a, b := newPlainClient(t, srv), newPlainClient(t, srv)
	atA, atB := a.allocate(t).Relayed, b.allocate(t).Relayed
	if atA.Addr() != public || atB.Addr() != public {
		t.Fatalf("got %v and %v, want the public address", atA, atB)
	}
	toB, err := a.Bind(context10(t), atB)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CreatePermission(context10(t), public); err != nil {
		t.Fatal(err)
	}
	if got := refusal(t, permit("127.0.0.1")(context10(t), b)); got != 403 {
		t.Errorf("the local address: got %d, want 403", got)
	}
	if err := a.WriteChannel(toB, []byte("to b")); err != nil {
		t.Fatal(err)
	}
	if got, want := b.receive(t), (datagram{0, atA, "to b"}); got != want {
		t.Errorf("b got %+v, want %+v", got, want)
	}
	if err := b.Send(atA, []byte("to a")); err != nil {
		t.Fatal(err)
	}
	if got, want := a.receive(t), (datagram{toB, atB, "to a"}); got != want {
		t.Errorf("a got %+v, want %+v", got, want)
	}
}
