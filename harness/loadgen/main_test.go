package loadgen

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/turntcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer starts a TURN server, which relays to its relays and to the peers allowed, and returns its address.
func startServer(t testing.TB, allow ...netip.Prefix) string {
	t.Helper()
	s, err := turntcp.NewServer(turntcp.Config{
		Realm: "test", RelayIP: netip.MustParseAddr("127.0.0.1"), AllowPeers: allow,
		Credentials: turntcp.StaticCredentials(map[string]string{"user": "password"}),
		// On a busy machine what comes late comes all the same.
		MaxQueueDelay: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	addr, err := s.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func dialTo(address string) Dial {
	return func(ctx context.Context) (net.Conn, []Phase, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return conn, nil, err
	}
}

// start makes a generator whose near way is the given one and whose far way is direct.
func start(t testing.TB, profile string, near, far Dial) *Generator {
	t.Helper()
	p, err := FindProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Profile: p, Seed: 7, Near: near, Far: far, User: "user", Password: "password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}
