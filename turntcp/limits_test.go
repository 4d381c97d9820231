package turntcp

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// Every refusal is told, with who asked for whom.
func TestPeerRefusalsAreTold(t *testing.T) {
	var told []PeerRefusal
	srv := newTestServer(t, func(c *Config) {
		c.DenyPeers = prefixes("127.0.0.0/8")
		c.OnPeerRefused = func(r PeerRefusal) { told = append(told, r) }
	})
	c := newPlainClient(t, srv)
	c.allocate(t)
	tests := []struct {
		do   func(context.Context, *testClient) error
		peer string
		why  string
	}{
		{permit("10.9.9.9"), "10.9.9.9:0", "not among the allowed peers"},
		{permit("8.8.8.8", "10.9.9.9"), "8.8.8.8:0", "not among the allowed peers"},
		{bindForbidden, "10.9.9.9:5000", "not among the allowed peers"},
		{permit("127.0.0.1"), "127.0.0.1:0", "among the denied peers"}, // the relays' own
	}
	for i, tt := range tests {
		if got := refusal(t, tt.do(context10(t), c)); got != 403 {
			t.Errorf("%s: got %d, want 403", tt.peer, got)
		}
		if len(told) != i+1 {
			t.Fatalf("%s: %d refusals were told, want %d", tt.peer, len(told), i+1)
		}
		got := told[i]
		if got.User != testUser || got.Peer.String() != tt.peer || got.Reason != tt.why || got.Client.String() != c.conn.LocalAddr().String() {
			t.Errorf("told %+v, want %s, %s", got, tt.peer, tt.why)
		}
	}
}

func TestRefusePort(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	metrics := netip.MustParseAddrPort("127.0.0.1:9")
	srv.RefusePort(metrics)
	c := newPlainClient(t, srv)
	c.allocate(t)
	if _, err := c.Bind(context10(t), metrics); refusal(t, err) != 403 {
		t.Errorf("a channel to the refused port: got %v, want 403", err)
	}
	if _, err := c.Bind(context10(t), netip.MustParseAddrPort("127.0.0.1:10")); err != nil {
		t.Errorf("a channel to another port: %v", err)
	}
}

func TestOldChannels(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.OldChannels = true })
	c := newPlainClient(t, srv)
	c.allocate(t)
	tests := []struct {
		number uint16
		want   int
	}{{0x7FFF, 0}, {0x8000, 400}, {0x3FFF, 400}}
	for _, tt := range tests {
		if got := refusal(t, bindNumber(tt.number)(context10(t), c)); got != tt.want {
			t.Errorf("channel %#x: got %d, want %d", tt.number, got, tt.want)
		}
	}
}

func TestChannelsAreBounded(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.MaxChannels = 2 })
	c := newPlainClient(t, srv)
	c.allocate(t)
	for i, want := range []int{0, 0, 508} {
		_, err := c.Bind(context10(t), netip.AddrPortFrom(loopback, uint16(9+i)))
		if got := refusal(t, err); got != want {
			t.Errorf("channel %d: got %d, want %d", i, got, want)
		}
	}
	if _, err := c.Bind(context10(t), netip.AddrPortFrom(loopback, 9)); err != nil {
		t.Errorf("a channel that is there already: %v", err)
	}
}

// What counts as a user is the part of a REST user name behind the colon: another expiry is no other
// user.
func TestMaxAllocations(t *testing.T) {
	const secret = "shared secret"
	srv := newTestServer(t, func(c *Config) { c.MaxAllocations, c.Credentials = 2, RESTCredentials(secret) })
	client := func(user string, ttl time.Duration) *testClient {
		cfg := ClientConfig{}
		cfg.Username, cfg.Password = RESTCredential(secret, user, ttl, time.Now())
		return newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), cfg)
	}
	first := client("alice", time.Hour)
	first.allocate(t)
	client("alice", 2*time.Hour).allocate(t)
	third := client("alice", 3*time.Hour)
	_, err := third.Allocate(context10(t))
	if got := refusal(t, err); got != 486 {
		t.Errorf("the third: got %d, want 486", got)
	}
	client("bob", time.Hour).allocate(t)
	if _, err := first.Refresh(context10(t), 0); err != nil {
		t.Fatal(err)
	}
	third.allocate(t)
}

// A port that is reserved counts until it is taken or given up.
func TestMaxAllocationsWithReservations(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.MaxAllocations = 2 })
	c := newPlainClient(t, srv)
	response, err := allocateWith(context10(t), c, 17, attribute(stun.AttrEvenPort, 0x80))
	if err != nil {
		t.Fatal(err)
	}
	reserved, err := response.Get(stun.AttrReservationToken)
	if err != nil {
		t.Fatal(err)
	}
	other := newPlainClient(t, srv)
	_, err = other.Allocate(context10(t))
	if got := refusal(t, err); got != 486 {
		t.Errorf("a third port: got %d, want 486", got)
	}
	bob := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: "bob", Password: "bob's"})
	_, err = allocateWith(context10(t), bob, 17, attribute(stun.AttrReservationToken, reserved...))
	if got := refusal(t, err); got != 508 {
		t.Errorf("another user's token: got %d, want 508", got)
	}
	if _, err := allocateWith(context10(t), other, 17, attribute(stun.AttrReservationToken, reserved...)); err != nil {
		t.Errorf("the reserved port: %v", err)
	}
	if _, err := other.Refresh(context10(t), 0); err != nil {
		t.Fatal(err)
	}
	if _, err = allocateWith(context10(t), other, 17, attribute(stun.AttrEvenPort, 0x80)); refusal(t, err) != 486 {
		t.Errorf("a pair where one port is left: got %v, want 486", err)
	}
	other.allocate(t)
	srv.relays.releaseAll()
	c.Close()
	other.Close()
	eventually(t, "the user is forgotten", func() bool {
		srv.users.mu.Lock()
		defer srv.users.mu.Unlock()
		return len(srv.users.live) == 0
	})
}

func TestMeter(t *testing.T) {
	const second = int64(time.Second)
	m := newMeter(8 * 1_000_000) // a megabyte per second
	var now int64
	passed := func(n, times int) (count int) {
		for range times {
			if m.pass(n, now) {
				count++
			}
		}
		return count
	}
	if got := passed(1000, 1000); got != 200 {
		t.Errorf("%d KB came at once, want those of 0.2 s", got)
	}
	for range 10 {
		now += second / 10
		if got := passed(1000, 1000); got != 100 {
			t.Errorf("%d KB in 0.1 s, want 100", got)
		}
	}
	now += 100 * second
	if got := passed(1000, 1000); got != 200 {
		t.Errorf("%d KB after a silence, want 200", got)
	}
	slow := newMeter(1000)
	if !slow.pass(65507, 0) || slow.pass(1000, 0) {
		t.Error("a slow meter lets nothing through, or more than a datagram at once")
	}
}

// The allocations of a user share his rate, each way has one of its own, and others have theirs.
func TestUserRate(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { allowLoopback(c); c.UserRate = 8 * 10_000 }) // a burst of 65535 bytes
	peer := peerSocket{udpSocket(t)}
	at := addrPort(peer.LocalAddr())
	relayed := make(map[*testClient]netip.AddrPort)
	bound := func(cfg ClientConfig) *testClient {
		c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), cfg)
		relayed[c] = c.allocate(t).Relayed
		if _, err := c.Bind(context10(t), at); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := bound(ClientConfig{}), bound(ClientConfig{})
	bob := bound(ClientConfig{Username: "bob", Password: "bob's"})
	payload := make([]byte, 60000)
	for _, tt := range []struct {
		c    *testClient
		want uint64
	}{{first, 0}, {second, 1}, {bob, 0}} {
		if err := tt.c.WriteChannel(firstChannel, payload); err != nil {
			t.Fatal(err)
		}
		if tt.want == 0 {
			peer.receive(t)
			if _, err := peer.WriteToUDPAddrPort(payload, relayed[tt.c]); err != nil {
				t.Fatal(err)
			}
			tt.c.receive(t)
		}
		eventually(t, "the datagram was counted", func() bool {
			for s := range statsOf(srv) {
				if s.Relay == relayed[tt.c] {
					return s.Drops.TooFast == tt.want && s.Up.Packets == 1-tt.want
				}
			}
			return false
		})
	}
}

func statsOf(srv *testServer) func(func(AllocationStats) bool) {
	var all []AllocationStats
	srv.Each(func(s AllocationStats) { all = append(all, s) })
	return slices.Values(all)
}

func TestTotalRate(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.TotalRate = 8 * 10_000 })
	a, b := newPlainClient(t, srv), newPlainClient(t, srv)
	_, atB := a.allocate(t), b.allocate(t).Relayed
	if err := a.CreatePermission(context10(t), loopback); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Send(atB, make([]byte, 60000)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one is sent and one dropped", func() bool {
		for s := range statsOf(srv) {
			if s.Up.Packets == 1 && s.Drops.TooFast == 1 {
				return true
			}
		}
		return false
	})
}

func TestCredentialKinds(t *testing.T) {
	const secret = "shared secret"
	key := md5.Sum(fmt.Appendf(nil, "%s:%s:%s", testUser, testRealm, testPassword))
	srv := newTestServer(t, func(c *Config) {
		c.Credentials = eitherOf{StaticKeys(map[string][]byte{testUser: key[:]}), RESTCredentials(secret)}
		c.MaxCredentialTTL = time.Hour
	})
	rest := func(ttl time.Duration) ClientConfig {
		user, password := RESTCredential(secret, "carol", ttl, time.Now())
		return ClientConfig{Username: user, Password: password}
	}
	tests := []struct {
		name string
		cfg  ClientConfig
		want int
	}{
		{"a key", ClientConfig{Username: testUser, Password: testPassword}, 0},
		{"a key and a wrong password", ClientConfig{Username: testUser, Password: "wrong"}, 401},
		{"a credential for less than an hour", rest(59 * time.Minute), 0},
		{"a credential for two hours", rest(2 * time.Hour), 401},
	}
	for _, tt := range tests {
		c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), tt.cfg)
		_, err := c.Allocate(context10(t))
		if got := refusal(t, err); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

type eitherOf []Credentials

func (e eitherOf) Lookup(username string) (Account, bool) {
	for _, c := range e {
		if a, ok := c.Lookup(username); ok {
			return a, true
		}
	}
	return Account{}, false
}

// Binding is a keepalive for those who have an allocation, and no way to stay without one.
func TestBindingDoesNotProlong(t *testing.T) {
	const limit = 300 * time.Millisecond
	srv := newTestServer(t, func(c *Config) { c.FirstRequestTimeout = limit })
	began := time.Now() // the server may accept before dial returns
	conn := dial(t, "tcp", srv.addr["tcp"])
	closed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		closed <- err
	}()
	tick := time.NewTicker(limit / 10)
	defer tick.Stop()
	for {
		select {
		case <-closed:
			if lasted := time.Since(began); lasted < limit {
				t.Errorf("closed after %v, before its time", lasted)
			}
			return
		case <-tick.C:
			if time.Since(began) > 20*limit {
				t.Fatal("the connection stays")
			}
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			_, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
			if err != nil && !isClosed(err) {
				t.Fatal(err)
			}
		}
	}
}

func isClosed(err error) bool {
	_, network := err.(*net.OpError)
	return network && !os.IsTimeout(err)
}
