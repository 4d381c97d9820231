package turntcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

func attribute(kind stun.AttrType, value ...byte) stun.RawAttribute {
	return stun.RawAttribute{Type: kind, Value: value}
}

func newPlainClient(t *testing.T, srv *testServer) *testClient {
	t.Helper()
	return newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
}

// refusal is the code of a signed refusal, or 0.
func refusal(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var refused *Error
	if !errors.As(err, &refused) || refused.Unsigned {
		t.Fatalf("got %v, want success or a signed error", err)
	}
	return refused.Code
}

// Without the R bit EVEN-PORT asks for an even port and no more; with it, the next port is kept for
// whoever has the token (RFC 8656 section 7.2).
func TestEvenPort(t *testing.T) {
	srv := newTestServer(t, nil)
	tests := []struct {
		name     string
		value    byte
		reserved bool
	}{{"even", 0, false}, {"even, and the next one", 0x80, true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newPlainClient(t, srv)
			response, err := allocateWith(context10(t), c, 17, attribute(stun.AttrEvenPort, tt.value))
			if err != nil {
				t.Fatal(err)
			}
			relayed, err := address(response, stun.AttrXORRelayedAddress)
			if err != nil || relayed.Addr() != loopback || relayed.Port()%2 != 0 {
				t.Errorf("got %v, %v, want an even port", relayed, err)
			}
			if d, err := lifetime(response); err != nil || d != 10*time.Minute {
				t.Errorf("got lifetime %v, %v", d, err)
			}
			token, err := response.Get(stun.AttrReservationToken)
			if (err == nil) != tt.reserved {
				t.Fatalf("got token %x, %v", token, err)
			}
			if !tt.reserved {
				return
			}
			other := newPlainClient(t, srv)
			if response, err = allocateWith(context10(t), other, 17, attribute(stun.AttrReservationToken, token...)); err != nil {
				t.Fatal(err)
			}
			next, err := address(response, stun.AttrXORRelayedAddress)
			if want := netip.AddrPortFrom(loopback, relayed.Port()+1); err != nil || next != want {
				t.Errorf("the token gave %v, %v, want %v", next, err, want)
			}
			if response.Contains(stun.AttrReservationToken) {
				t.Error("the second relay has a token, too")
			}
			_, err = allocateWith(context10(t), newPlainClient(t, srv), 17, attribute(stun.AttrReservationToken, token...))
			if got := refusal(t, err); got != 508 {
				t.Errorf("the second use of a token: got %d, want 508", got)
			}
		})
	}
}

// A retransmitted Allocate gets the same response, token and all (RFC 8656 section 7.2).
func TestEvenPortAgain(t *testing.T) {
	c := newPlainClient(t, newTestServer(t, nil))
	c.allocate(t) // learns realm and nonce
	if _, err := c.Refresh(context10(t), 0); err != nil {
		t.Fatal(err)
	}
	request := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest),
		attribute(stun.AttrRequestedTransport, 17, 0, 0, 0), attribute(stun.AttrEvenPort, 0x80),
		stun.NewUsername(testUser), c.auth.realm, c.auth.nonce, c.auth.key)
	first, err := c.transact(context10(t), request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.transact(context10(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*stun.Message{first, again} {
		if err := c.auth.key.Check(m); err != nil || !m.Contains(stun.AttrReservationToken) {
			t.Errorf("got %v (%v), want a signed response with a token", m, err)
		}
	}
	if !bytes.Equal(first.Raw, again.Raw) {
		t.Errorf("got %v and then %v", first, again)
	}
}

func TestAllocateRefusals(t *testing.T) {
	srv := newTestServer(t, nil)
	even, token := attribute(stun.AttrEvenPort, 0), attribute(stun.AttrReservationToken, []byte("12345678")...)
	ipv4, ipv6 := attribute(stun.AttrRequestedAddressFamily, 1, 0, 0, 0), attribute(stun.AttrRequestedAddressFamily, 2, 0, 0, 0)
	additional := attribute(additionalFamily, 2, 0, 0, 0)
	tests := []struct {
		name       string
		attributes []stun.Setter
		want       int
	}{
		{"IPv4", []stun.Setter{ipv4}, 0},
		{"IPv6, where there is none", []stun.Setter{ipv6}, 440},
		{"no family known", []stun.Setter{attribute(stun.AttrRequestedAddressFamily, 3, 0, 0, 0)}, 440},
		{"a family too short", []stun.Setter{attribute(stun.AttrRequestedAddressFamily, 1)}, 400},
		{"no token of ours", []stun.Setter{token}, 508},
		{"a token of zeros", []stun.Setter{attribute(stun.AttrReservationToken, make([]byte, 8)...)}, 508},
		{"a token too short", []stun.Setter{attribute(stun.AttrReservationToken, 1, 2, 3)}, 400},
		{"token and even port", []stun.Setter{token, even}, 400},
		{"token and family", []stun.Setter{token, ipv4}, 400},
		{"token and another family", []stun.Setter{token, additional}, 400},
		{"two families", []stun.Setter{ipv4, additional}, 400},
		{"another family, of IPv4", []stun.Setter{attribute(additionalFamily, 1, 0, 0, 0)}, 400},
		{"another family and a second port", []stun.Setter{additional, attribute(stun.AttrEvenPort, 0x80)}, 400},
		{"another family", []stun.Setter{additional}, 0},
		{"even port too long", []stun.Setter{attribute(stun.AttrEvenPort, 0, 0, 0, 0)}, 400},
		{"lifetime too short", []stun.Setter{attribute(stun.AttrLifetime, 0, 1)}, 400},
		{"do not fragment", []stun.Setter{attribute(stun.AttrDontFragment)}, 420},
		{"not known", []stun.Setter{attribute(0x7F00, 1)}, 420},
		{"not known, but need not be", []stun.Setter{attribute(0xFF00, 1)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := allocateWith(context10(t), newPlainClient(t, srv), 17, tt.attributes...)
			if got := refusal(t, err); got != tt.want {
				t.Errorf("got %d (%v), want %d", got, err, tt.want)
			}
		})
	}
}

// RFC 8656 sections 7.2 and 8.2: the default at least, our maximum at most; and 0 ends an allocation.
func TestLifetime(t *testing.T) {
	const none = -1
	tests := []struct {
		seconds           int
		allocate, refresh time.Duration
	}{
		{none, 600e9, 600e9},
		{0, 600e9, 0},
		{60, 600e9, 600e9},
		{601, 601e9, 601e9},
		{3599, 3599e9, 3599e9},
		{3600, 3600e9, 3600e9},
		{7200, 3600e9, 3600e9},
		{1<<32 - 1, 3600e9, 3600e9},
	}
	srv := newTestServer(t, nil)
	for _, tt := range tests {
		t.Run(strconv.Itoa(tt.seconds), func(t *testing.T) {
			var asked []stun.Setter
			if tt.seconds != none {
				asked = append(asked, attribute(stun.AttrLifetime, binary.BigEndian.AppendUint32(nil, uint32(tt.seconds))...))
			}
			c := newPlainClient(t, srv)
			response, err := allocateWith(context10(t), c, 17, asked...)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := lifetime(response); err != nil || got != tt.allocate {
				t.Errorf("allocate: got %v, %v, want %v", got, err, tt.allocate)
			}
			if response, err = c.do(context10(t), stun.MethodRefresh, asked...); err != nil {
				t.Fatal(err)
			}
			if got, err := lifetime(response); err != nil || got != tt.refresh {
				t.Errorf("refresh: got %v, %v, want %v", got, err, tt.refresh)
			}
			if c.Close(); tt.refresh == 0 && srv.Allocations() != 0 {
				t.Error("the allocation lives")
			}
			eventually(t, "the allocation has ended", func() bool { return srv.Allocations() == 0 })
		})
	}
}

func TestDrain(t *testing.T) {
	srv := newTestServer(t, nil)
	c := newPlainClient(t, srv)
	c.allocate(t)
	srv.Drain()
	_, err := newPlainClient(t, srv).Allocate(context10(t))
	if got := refusal(t, err); got != 508 {
		t.Errorf("a new allocation: got %d, want 508", got)
	}
	if _, err := c.Refresh(context10(t), time.Hour); err != nil {
		t.Errorf("refresh: %v", err)
	}
}

// What stands behind MESSAGE-INTEGRITY is nobody's word (RFC 8489 section 14.5).
func TestAttributesBehindTheSignature(t *testing.T) {
	srv := newTestServer(t, nil)
	c := newPlainClient(t, srv)
	c.allocate(t)
	m := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
		stun.NewUsername(testUser), c.auth.realm, c.auth.nonce, c.auth.key)
	m.Add(stun.AttrLifetime, []byte{0, 0, 0, 0})
	m.WriteHeader()
	response, err := c.transact(context10(t), m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := lifetime(response); err != nil || got != 10*time.Minute || srv.Allocations() != 1 {
		t.Errorf("got lifetime %v, %v, with %d allocations, want 10m and one", got, err, srv.Allocations())
	}
}

func TestRealmAndNonce(t *testing.T) {
	srv := newTestServer(t, nil)
	other := newPlainClient(t, srv)
	other.allocate(t)
	key := stun.NewLongTermIntegrity(testUser, testRealm, testPassword)
	tests := []struct {
		name  string
		realm string
		nonce func(own stun.Nonce) stun.Nonce
		want  stun.ErrorCode
	}{
		{"ours", testRealm, func(own stun.Nonce) stun.Nonce { return own }, 0},
		{"another realm", "example.org", func(own stun.Nonce) stun.Nonce { return own }, 401},
		{"a made-up nonce", testRealm, func(stun.Nonce) stun.Nonce { return stun.NewNonce("12345678901234567890") }, 438},
		{"a nonce that was changed", testRealm, func(own stun.Nonce) stun.Nonce { return append(own[:len(own)-1:len(own)-1], own[len(own)-1]^1) }, 438},
		{"another connection's nonce", testRealm, func(stun.Nonce) stun.Nonce { return other.auth.nonce }, 438},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newPlainClient(t, srv)
			c.allocate(t)
			response, err := c.transact(context10(t), stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
				stun.NewUsername(testUser), stun.NewRealm(tt.realm), tt.nonce(c.auth.nonce), key))
			if err != nil {
				t.Fatal(err)
			}
			var code stun.ErrorCodeAttribute
			_ = code.GetFrom(response)
			if code.Code != tt.want {
				t.Errorf("got %d, want %d", code.Code, tt.want)
			}
			if tt.want != 0 && (!response.Contains(stun.AttrRealm) || !response.Contains(stun.AttrNonce) || response.Contains(stun.AttrMessageIntegrity)) {
				t.Errorf("got %v, want a challenge that is not signed", response)
			}
		})
	}
}

// An allocation that was given back takes nothing of the next one on the same connection with it.
func TestAllocateAgain(t *testing.T) {
	srv := newTestServer(t, offerTCP)
	for _, protocol := range []byte{17, 6} {
		c := newPlainClient(t, srv)
		for i := range 200 {
			if _, err := allocateWith(context10(t), c, protocol); err != nil {
				t.Fatalf("protocol %d, allocation %d: %v", protocol, i, err)
			}
			if _, err := c.Refresh(context10(t), 0); err != nil {
				t.Fatalf("protocol %d, giving back %d: %v", protocol, i, err)
			}
		}
	}
	expectAllocations(t, srv, 0)
}
