// Package lab runs authenticating proxies, what verifies for them, and a TURN server, all on
// loopback and for as long as a test or a demonstration lasts: embedded ones (New), which need
// nothing but this program, and real ones (NewReal).
//
// Passwords are random in every lab. Nothing listens beyond loopback.
package lab

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/turntcp"
)

// A Lab is what is running. Close ends it.
type Lab struct {
	Name    string // "embedded" or "real"
	Proxies []Proxy
	TURN    TURN
	User    User   // of every proxy and the realm
	Realm   string // Kerberos
	// Krb5Conf is the text of a krb5.conf, ExpiredCCache the path of a credential cache whose ticket
	// has expired.
	Krb5Conf      string
	ExpiredCCache string
	CA            []byte      // PEM of the lab's certificate authority
	ClientTLS     *tls.Config // trusts it; for https proxies and turns:

	// RefusedPort is a target port that every proxy refuses with 403.
	RefusedPort int

	// Logs writes what the lab's servers logged; for a cell that failed. It may be nil.
	Logs func(io.Writer)

	pki      *pki
	embedded *embedded    // nil in a real lab
	died     <-chan error // of a real lab
	closers  []func() error
}

// A User is one account. It prints without its password.
type User struct{ Name, Password string }

// String is the name.
func (u User) String() string { return u.Name }

// GoString is the name.
func (u User) GoString() string { return u.Name }

// The schemes of a lab's proxies. SchemeAll offers Negotiate, NTLM, Digest and Basic.
const (
	SchemeNone         = "none"
	SchemeBasic        = "basic"
	SchemeDigest       = "digest"
	SchemeDigestSHA256 = "digest-sha256"
	SchemeNTLM         = "ntlm"
	SchemeNegoNTLM     = "negotiate-ntlm"
	SchemeKerberos     = "kerberos"
	SchemeAll          = "all"
)

// A Proxy is one running proxy.
type Proxy struct {
	Implementation string // "embedded", "squid", "apache", "tinyproxy"
	Scheme         string
	TLS            bool
	URL            string
	PID            int // of its process: this one's, if it is embedded

	// Krb5Conf and TURN (host:port) are what to use with this proxy instead of the lab's, where a
	// fault needs others.
	Krb5Conf string
	TURN     string

	// Tunnels returns the users whose tunnels have ended, by the proxy's own record: a log of Squid
	// has "alice", "alice@REALM" or "DOMAIN\alice". nil: it keeps none.
	Tunnels func() ([]string, error)

	// Failures counts the attempts with a wrong password or user that reached whatever verifies for
	// this proxy, KDC included. nil: it does not count.
	Failures func() (int, error)
}

// TURN is the lab's TURN server.
type TURN struct {
	TCP, TLS string // host:port
	User     User
}

// Close ends everything and waits for it.
func (l *Lab) Close() error {
	var errs []error
	for _, c := range slices.Backward(l.closers) {
		errs = append(errs, c())
	}
	l.closers = nil
	return errors.Join(errs...)
}

// Died gets how a program of a real lab ended that was not to, with the end of its log. Nothing comes of
// other labs.
func (l *Lab) Died() <-chan error { return l.died }

func (l *Lab) onClose(f func() error) { l.closers = append(l.closers, f) }

// Config says what of a lab to start. The zero value is all of the embedded lab.
type Config struct {
	Log     *slog.Logger // of what the servers do. Default discards
	Real    bool         // Squid, Apache and tinyproxy instead of embedded proxies
	Schemes []string     // of the proxies. Default is all there are; of a real lab the others are Squids
	NoTURN  bool         // without a TURN server

	Limits     testproxy.Limits // of each embedded proxy
	SquidExtra string           // further lines for every squid.conf of a real lab, see realstack.Config
}

// Validate says what is wrong with it.
func (c Config) Validate() error {
	known := EmbeddedSchemes
	if c.Real {
		known = slices.Sorted(maps.Keys(squids))
	}
	for _, scheme := range c.Schemes {
		if !slices.Contains(known, scheme) {
			return fmt.Errorf("no proxy has the scheme %q; there are %s", scheme, strings.Join(known, ", "))
		}
	}
	return nil
}

// Start starts it. ctx bounds the start only.
func (c Config) Start(ctx context.Context) (*Lab, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Real {
		return c.startReal(ctx)
	}
	return c.startEmbedded()
}

// prepare sets up what both kinds of lab have: certificates, an account, the TURN server.
func (c Config) prepare(name string) (*Lab, error) {
	p, err := newPKI()
	if err != nil {
		return nil, err
	}
	l := &Lab{
		Name: name, Realm: "LAB.TEST", CA: p.caPEM, ClientTLS: p.client(), pki: p,
		User:        User{"alice", password()},
		RefusedPort: 9,
	}
	if c.NoTURN {
		return l, nil
	}
	if err := l.startTURN(c.Log); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// password returns 26 letters and digits with 128 random bits.
func password() string { return strings.ToLower(rand.Text()) }

func (l *Lab) startTURN(log *slog.Logger) error {
	l.TURN.User = User{"turnuser", password()}
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:       "turn.lab.test",
		Credentials: turntcp.StaticCredentials(map[string]string{l.TURN.User.Name: l.TURN.User.Password}),
		RelayIP:     netip.MustParseAddr("127.0.0.1"),
		TLS:         l.pki.server(),
		Logger:      log,
	})
	if err != nil {
		return err
	}
	l.onClose(srv.Close)
	tcp, err := srv.ListenTCP("127.0.0.1:0")
	if err != nil {
		return err
	}
	tls, err := srv.ListenTLS("127.0.0.1:0")
	if err != nil {
		return err
	}
	l.TURN.TCP, l.TURN.TLS = named(tcp.String()), named(tls.String())
	return nil
}

// named puts the lab's name in place of the address.
func named(address string) string {
	return strings.Replace(address, "127.0.0.1:", host+":", 1)
}
