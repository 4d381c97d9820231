package turntcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

func TestRelay(t *testing.T) {
	ways := []struct {
		name string
		send func(t *testing.T, c *testClient, peer netip.AddrPort, payload string) (channel uint16)
	}{
		{"channel", func(t *testing.T, c *testClient, peer netip.AddrPort, payload string) uint16 {
			number, err := c.Bind(context10(t), peer)
			if err == nil {
				err = c.WriteChannel(number, []byte(payload))
			}
			if err != nil {
				t.Fatal(err)
			}
			return number
		}},
		{"indication", func(t *testing.T, c *testClient, peer netip.AddrPort, payload string) uint16 {
			err := c.CreatePermission(context10(t), peer.Addr())
			if err == nil {
				err = c.Send(peer, []byte(payload))
			}
			if err != nil {
				t.Fatal(err)
			}
			return 0
		}},
	}
	for _, transport := range transports {
		for _, way := range ways {
			// pion's own framing keeps up to 4 bytes back until more come, and cuts those from peers at 1600.
			for _, size := range []int{1200, 5, 4, 3, 1, 0, 1600, 4093, 20000, 65000} {
				t.Run(fmt.Sprintf("%s/%s/%d", transport, way.name, size), func(t *testing.T) {
					srv := newTestServer(t, allowLoopback)
					c := newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
					a := c.allocate(t)
					if a.Relayed.Addr() != loopback || a.Relayed.Port() < 49152 || a.Lifetime.Minutes() != 10 {
						t.Errorf("allocation is %+v", a)
					}
					if want := addrPort(c.conn.LocalAddr()); a.Mapped != want {
						t.Errorf("mapped address is %v, want %v", a.Mapped, want)
					}
					peer := echoPeer(t)
					payload := strings.Repeat("x", size)
					channel := way.send(t, c, peer, payload)
					want := datagram{channel, peer, payload}
					if got := c.receive(t); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				})
			}
		}
	}
}

// The magic cookie where ChannelData has its payload makes pion's framing take it for STUN.
func TestChannelDataThatLooksLikeSTUN(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	number, err := c.Bind(context10(t), echoPeer(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"\x21\x12\xa4\x42 and what follows it", "the next"} {
		if err := c.WriteChannel(number, []byte(payload)); err != nil {
			t.Fatal(err)
		}
		if got := c.receive(t); got.payload != payload {
			t.Errorf("got %q, want %q", got.payload, payload)
		}
	}
}

func TestRelayToRelay(t *testing.T) {
	srv := newTestServer(t, nil) // nothing allowed: relays reach each other all the same
	a := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	b := newTestClient(t, dial(t, "tls", srv.addr["tls"]), ClientConfig{Username: "bob", Password: "bob's"})
	atA, atB := a.allocate(t).Relayed, b.allocate(t).Relayed
	toB, err := a.Bind(context10(t), atB)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CreatePermission(context10(t), atA.Addr()); err != nil {
		t.Fatal(err)
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

// With the permission that relay to relay needs, what else lives at the server's address must stay
// out of reach, both ways.
func TestOnlyLiveRelays(t *testing.T) {
	srv := newTestServer(t, nil)
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	a := c.allocate(t)
	stranger := udpSocket(t)
	at := addrPort(stranger.LocalAddr())
	if _, err := c.Bind(context10(t), at); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(at, []byte("out")); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.WriteToUDPAddrPort([]byte("in"), a.Relayed); err != nil {
		t.Fatal(err)
	}
	// What comes after both shows that they were dropped, not late.
	other := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	atOther := other.allocate(t).Relayed
	if err := other.CreatePermission(context10(t), loopback); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(atOther, []byte("legitimate")); err != nil {
		t.Fatal(err)
	}
	if got := other.receive(t); got.payload != "legitimate" {
		t.Errorf("the other client got %+v", got)
	}
	if err := other.Send(a.Relayed, []byte("legitimate")); err != nil {
		t.Fatal(err)
	}
	if got := c.receive(t); got.payload != "legitimate" {
		t.Errorf("the client got %+v", got)
	}
	if _, err := stranger.WriteToUDPAddrPort([]byte("last"), at); err != nil { // to itself
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, _, err := stranger.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "last" {
		t.Errorf("the stranger got %q, %v", buf[:n], err)
	}
}

func TestErrorReplies(t *testing.T) {
	forbidden := netip.MustParseAddrPort("10.9.9.9:5000")
	allocated := func(t *testing.T, c *testClient) { c.allocate(t) }
	tests := []struct {
		name   string
		config ClientConfig
		before func(*testing.T, *testClient)
		do     func(context.Context, *testClient) error
		want   int
	}{
		{"wrong password", ClientConfig{Username: testUser, Password: "wrong"}, nil, allocate, 401},
		{"unknown user", ClientConfig{Username: "mallory", Password: "x"}, nil, allocate, 401},
		{"second allocation", ClientConfig{}, allocated, allocate, 437},
		{"refresh without allocation", ClientConfig{}, nil, func(ctx context.Context, c *testClient) error {
			_, err := c.Refresh(ctx, 600e9)
			return err
		}, 437},
		{"permission without allocation", ClientConfig{}, nil, permitForbidden, 437},
		{"channel without allocation", ClientConfig{}, nil, bindForbidden, 437},
		{"permission of another user", ClientConfig{}, func(t *testing.T, c *testClient) {
			c.allocate(t)
			c.cfg.Username, c.cfg.Password = "bob", "bob's"
			c.mu.Lock()
			c.auth.key = nil
			c.mu.Unlock()
		}, permitForbidden, 441},
		{"permission for a forbidden peer", ClientConfig{}, allocated, permitForbidden, 403},
		{"channel to a forbidden peer", ClientConfig{}, allocated, bindForbidden, 403},
		{"relay for TCP", ClientConfig{}, nil, allocateError(6), 442},
		{"relay for SCTP", ClientConfig{}, nil, allocateError(132), 442},
		{"relay for IPv6", ClientConfig{}, nil, allocateError(17, stun.RawAttribute{
			Type: stun.AttrRequestedAddressFamily, Value: []byte{familyIPv6, 0, 0, 0}}), 440},
		{"channel below the range", ClientConfig{}, allocated, bindNumber(0x3FFF), 400},
		{"channel beyond the range", ClientConfig{}, allocated, bindNumber(0x5000), 400},
		{"channel of RFC 5766", ClientConfig{}, allocated, bindNumber(0x7FFF), 400},
		{"permission for an IPv6 peer", ClientConfig{}, allocated, permit("127.0.0.1", "2001:db8::1"), 443},
		{"no peers", ClientConfig{}, allocated, func(ctx context.Context, c *testClient) error {
			return c.CreatePermission(ctx)
		}, 400},
		{"channel after a forbidden one", ClientConfig{}, func(t *testing.T, c *testClient) {
			c.allocate(t)
			_ = bindForbidden(context10(t), c)
			if _, err := c.Bind(context10(t), netip.MustParseAddrPort("127.0.0.1:9")); err != nil {
				t.Fatal(err)
			}
			channels := []netip.AddrPort{forbidden, netip.MustParseAddrPort("127.0.0.1:10")}
			c.channels.Store(&channels) // the number of another peer
		}, func(ctx context.Context, c *testClient) error {
			_, err := c.Bind(ctx, netip.MustParseAddrPort("127.0.0.1:10"))
			return err
		}, 400},
	}
	for _, transport := range transports {
		for _, tt := range tests {
			t.Run(transport+"/"+tt.name, func(t *testing.T) {
				srv := newTestServer(t, nil)
				c := newTestClient(t, dial(t, transport, srv.addr[transport]), tt.config)
				if tt.before != nil {
					tt.before(t, c)
				}
				err := tt.do(context10(t), c)
				var got *Error
				if !errors.As(err, &got) || got.Code != tt.want || got.Unsigned {
					t.Fatalf("got %v, want a signed error %d", err, tt.want)
				}
				if strings.Contains(srv.log.String(), testPassword) {
					t.Error("the password is in the log")
				}
			})
		}
	}
}

func allocate(ctx context.Context, c *testClient) error {
	_, err := c.Allocate(ctx)
	return err
}

func allocateWith(ctx context.Context, c *testClient, protocol byte, attributes ...stun.Setter) (*stun.Message, error) {
	transport := stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{protocol, 0, 0, 0}}
	return c.do(ctx, stun.MethodAllocate, append(attributes, transport)...)
}

func allocateError(protocol byte, attributes ...stun.Setter) func(context.Context, *testClient) error {
	return func(ctx context.Context, c *testClient) error {
		_, err := allocateWith(ctx, c, protocol, attributes...)
		return err
	}
}

func permitForbidden(ctx context.Context, c *testClient) error {
	return c.CreatePermission(ctx, netip.MustParseAddr("10.9.9.9"))
}

func bindForbidden(ctx context.Context, c *testClient) error {
	_, err := c.Bind(ctx, netip.MustParseAddrPort("10.9.9.9:5000"))
	return err
}

func bindNumber(n uint16) func(context.Context, *testClient) error {
	return func(ctx context.Context, c *testClient) error {
		_, err := c.do(ctx, stun.MethodChannelBind, peerAddress(netip.AddrPortFrom(loopback, 9)),
			stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{byte(n >> 8), byte(n), 0, 0}})
		return err
	}
}

func permit(peers ...string) func(context.Context, *testClient) error {
	return func(ctx context.Context, c *testClient) error {
		var addrs []netip.Addr
		for _, p := range peers {
			addrs = append(addrs, netip.MustParseAddr(p))
		}
		return c.CreatePermission(ctx, addrs...)
	}
}

func manyPeers() (peers []string) {
	for i := range 256 + 1 {
		peers = append(peers, fmt.Sprintf("203.0.%d.%d", 112+i/256, i%256))
	}
	return peers
}

// Of several peers none gets a permission if one of them may not have it (RFC 8656 section 10.2).
func TestPermissionsAllOrNothing(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.AllowPeers = []netip.Prefix{netip.MustParsePrefix("203.0.112.0/23")} })
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	table := &onlyFlow(t, srv).table
	malformed := func(ctx context.Context, c *testClient) error {
		_, err := c.do(ctx, stun.MethodCreatePermission, peerAddress(netip.AddrPortFrom(loopback, 0)),
			stun.RawAttribute{Type: stun.AttrXORPeerAddress, Value: []byte{0, 1, 2}})
		return err
	}
	tests := []struct {
		name string
		do   func(context.Context, *testClient) error
		code int // 0 for success
		want int // permissions afterwards
	}{
		{"forbidden", permit("127.0.0.1", "203.0.112.1", "10.9.9.9"), 403, 0},
		{"IPv6", permit("127.0.0.1", "2001:db8::1"), 443, 0},
		{"malformed", malformed, 400, 0},
		{"too many", permit(manyPeers()...), 508, 0},
		{"two", permit("127.0.0.1", "203.0.112.1"), 0, 2},
		{"one of them again, and one", permit("127.0.0.1", "203.0.112.2", "203.0.112.2"), 0, 3},
	}
	for _, tt := range tests {
		err := tt.do(context10(t), c)
		var refused *Error
		if (err == nil) != (tt.code == 0) || err != nil && (!errors.As(err, &refused) || refused.Code != tt.code) {
			t.Errorf("%s: got %v, want error %d", tt.name, err, tt.code)
		}
		table.mu.RLock()
		if got := len(table.permitted); got != tt.want {
			t.Errorf("%s: %d permissions, want %d", tt.name, got, tt.want)
		}
		table.mu.RUnlock()
	}
}

func TestAudit(t *testing.T) {
	srv := newTestServer(t, nil)
	c := newTestClient(t, dial(t, "tls", srv.addr["tls"]), ClientConfig{})
	a := c.allocate(t)
	if _, err := c.Refresh(context10(t), 0); err != nil {
		t.Fatal(err)
	}
	client := c.conn.LocalAddr().String()
	for _, event := range []string{"allocation created", "allocation deleted"} { // which comes when nobody uses the relay any more
		eventually(t, fmt.Sprintf("%q of %s from %s at %v is in the log", event, testUser, client, a.Relayed), func() (found bool) {
			for line := range strings.Lines(srv.log.String()) {
				found = found || strings.Contains(line, event) && strings.Contains(line, "user="+testUser) &&
					strings.Contains(line, "client="+client) && strings.Contains(line, "relay="+a.Relayed.String())
			}
			return found
		})
	}
}

func TestListeningPortsAreNoPeers(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	// A UDP socket on the number of our TCP port, in case we ever listen there.
	at := netip.MustParseAddrPort(srv.addr["tcp"])
	own, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Skipf("the port is another's: %v", err)
	}
	defer own.Close()
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	_, err = c.Bind(context10(t), at)
	if got := refusal(t, err); got != 403 {
		t.Errorf("a channel: got %d, want 403", got)
	}
	if err := c.CreatePermission(context10(t), at.Addr()); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(at, []byte("forbidden")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Binding(context10(t)); err != nil { // by now it has been handled
		t.Fatal(err)
	}
	if _, err := own.WriteToUDPAddrPort([]byte("last"), at); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, _, err := own.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "last" {
		t.Errorf("our port got %q (%v), want only %q", buf[:n], err, "last")
	}
}
