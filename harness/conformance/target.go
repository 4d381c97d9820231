package conformance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/turngate/turngate/harness/credentials"
)

// A Target is the server to test. It may be printed: it shows no secret.
type Target struct {
	Address  string      // host:port
	TLS      *tls.Config // nil: TURN over TCP in the clear. Cloned; ServerName defaults to the host of Address
	User     string
	Password credentials.Secret

	// SecondUser is another account, for the tests of one user meddling with another's allocation.
	// Without it these are skipped.
	SecondUser     string
	SecondPassword credentials.Secret

	// PeerAddress is an address of this machine that the server may relay to; sockets are opened there.
	// Without it the peer of a test is a second allocation on the server.
	PeerAddress netip.Addr

	// ForbiddenPeer is an address that the server must refuse as a peer with 403. Default is 0.0.0.1, which
	// no server need refuse: if it is accepted, the tests of a refusal are skipped.
	ForbiddenPeer netip.Addr

	// Dial connects to the server ("tcp" or "udp"). Default is a net.Dialer's. Through a proxy the server
	// sees another address than ours, which no test minds.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Options say what to run and how. The zero value runs all tests that take seconds.
type Options struct {
	Run      []string      // patterns as of path.Match for the ids, "allocate.*"; default is all
	Slow     bool          // also the tests that wait for permissions and channels to expire: up to 12 minutes
	Timeout  time.Duration // for an answer, after which there is none. Default is 5 s
	Parallel int           // tests at a time. Default is 8, and all slow ones at once

	// PermissionLifetime is how long the server lets permissions live. Default is the 5 minutes that RFC
	// 8656 section 9 demands; a test may run the slow tests against a server with a shorter one.
	PermissionLifetime time.Duration

	// Progress is told of each result as it comes, by one goroutine at a time. Default is nil.
	Progress func(done, all int, r Result)
}

var defaultForbidden = netip.MustParseAddr("0.0.0.1")

// withDefaults is the Target with what was left out.
func (t Target) withDefaults() (Target, error) {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return t, fmt.Errorf("conformance: address of the server: %w", err)
	}
	if t.TLS != nil {
		t.TLS = t.TLS.Clone()
		if t.TLS.ServerName == "" {
			t.TLS.ServerName = host
		}
	}
	if !t.ForbiddenPeer.IsValid() {
		t.ForbiddenPeer = defaultForbidden
	}
	if t.Dial == nil {
		t.Dial = new(net.Dialer).DialContext
	}
	if t.PeerAddress.IsValid() && !t.PeerAddress.Is4() {
		return t, fmt.Errorf("conformance: peer address %v: want IPv4", t.PeerAddress)
	}
	return t, nil
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.PermissionLifetime <= 0 {
		o.PermissionLifetime = 5 * time.Minute
	}
	return o
}
