package realstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Names that every Stack uses.
const (
	Realm  = "LAB.TEST" // the Kerberos realm of all users
	Domain = "PROXYSRV" // the NTLM domain of all users; an empty domain is accepted as well

	// RemoteName is a name of 127.0.0.1 that Squid alone can resolve: a target that a client
	// cannot look up by itself, like most names behind a corporate proxy.
	RemoteName = "turn.lab.test"

	// RefusedPort is the destination port that Squid and Apache refuse with 403: Squid before it
	// asks who is there, Apache after.
	RefusedPort = 9
)

// startTimeout bounds Start as a whole. An idle machine of two cores needs about three seconds.
const startTimeout = 60 * time.Second

// A User is known to every verifier of the Stack, but for two that cannot express every password:
// tinyproxy knows only users whose password is made of letters, digits, '.', '_' and '-', and
// Apache's NTLM only those without ':' in it.
type User struct {
	Name     string // lower-case ASCII letters and digits, starting with a letter
	Password string // one line of UTF-8
}

// String names the user without the password.
func (u User) String() string { return u.Name }

// GoString is String, for %#v.
func (u User) GoString() string { return u.Name }

// Config says what to start. It is only read.
type Config struct {
	Users []User // at least one

	// ProxyHost is the name that clients give the proxies: it stands in their URLs and in the
	// Kerberos service principal HTTP/ProxyHost, and must lead clients to 127.0.0.1. Default
	// "localhost".
	ProxyHost string

	// CertPEM and KeyPEM make the TLS side of Squid, Apache and coturn, and should name ProxyHost.
	// Without them there are no https proxies.
	CertPEM, KeyPEM []byte

	// Only limits what is started to these parts, and what they need: "squid", "apache",
	// "tinyproxy", one of the Squids ("squid/basic", "squid/digest", "squid/ntlm",
	// "squid/negotiate", "squid/all"), "inspection", a Squid that opens TLS and is never part of everything, or a verifier alone ("kdc", "winbind"). Default is everything.
	Only []string

	// SquidExtra are further lines for every squid.conf, for instance "read_timeout 3 seconds". They are
	// a template as conf/squid.conf is: {{.Negotiate}} is the command of that scheme's helper.
	SquidExtra string

	// KDCClock is how far the KDC's clock is off, by libfaketime. Default 0.
	KDCClock time.Duration

	Log io.Writer // one line per part: how long it took to be ready. Default none
}

// String says who is in the configuration, without passwords and keys.
func (c Config) String() string {
	return fmt.Sprintf("realstack.Config{Users: %v, ProxyHost: %q, Only: %q}", c.Users, c.ProxyHost, c.Only)
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// A Stack is a set of running proxies and verifiers with one set of users. Its methods may be used
// by any number of goroutines.
type Stack struct {
	Dir string // the private directory: configuration, databases, logs; gone after Close

	cfg      Config
	account  account
	launcher *launcher
	reaper   *reaper
	died     chan error

	mu       sync.Mutex
	closed   bool
	services []*service
	proxies  []Proxy
	ports    map[int]bool // handed out so far
	caches   int          // Kerberos credential caches made so far

	webOnce sync.Once // writeWebUsers
	webErr  error
}

// Start starts what cfg asks for and returns when all of it accepts connections, at the latest
// after a minute. When it fails nothing is left running; the error holds the end of the log of the
// part that failed. ctx bounds the start only: a Stack lives until Close.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	if cfg.ProxyHost == "" {
		cfg.ProxyHost = "localhost"
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	chosen, err := choose(cfg.Only)
	if err != nil {
		return nil, err
	}
	missing := missingFor(chosen)
	if cfg.KDCClock != 0 && find(faketime) == "" {
		missing = append(missing, faketime)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("real proxies: not on this machine: %s", strings.Join(missing, ", "))
	}
	s, err := newStack(cfg)
	if err != nil {
		return nil, fmt.Errorf("real proxies: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.startParts(ctx, chosen); err != nil {
		return nil, errors.Join(fmt.Errorf("real proxies: %w", err), s.Close())
	}
	return s, nil
}

// Close kills every process of the Stack, removes its directory and what Squid left in /dev/shm,
// and returns when all of that is done, at the latest after closeTimeout. Connections through the
// proxies break. It reports parts that had ended before by themselves. It may be called more than
// once; calls after the first return nil.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	services := s.services
	s.mu.Unlock()

	var errs []error
	for _, service := range services {
		if service.ended() {
			errs = append(errs, fmt.Errorf("%s ended by itself: %v", service.name, service.err))
		}
	}
	// Nobody is asked politely: all that they could save is about to be removed.
	errs = append(errs, s.reaper.finish())
	for _, service := range services {
		service.kill()
	}
	s.launcher.close()
	return errors.Join(errs...)
}

// Proxies returns what was started, in a fixed order.
func (s *Stack) Proxies() []Proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sortedProxies(s.proxies)
}

var userName = regexp.MustCompile(`^[a-z][a-z0-9]{0,19}$`)

func (c Config) check() error {
	if len(c.Users) == 0 {
		return errors.New("real proxies: no user configured")
	}
	seen := map[string]bool{}
	for _, u := range c.Users {
		switch {
		case !userName.MatchString(u.Name):
			return fmt.Errorf("real proxies: user name %q: want lower-case letters and digits, at most 20", u.Name)
		case seen[u.Name]:
			return fmt.Errorf("real proxies: user %s configured twice", u.Name)
		case u.Password == "" || strings.ContainsAny(u.Password, "\r\n\x00"):
			return fmt.Errorf("real proxies: password of %s: want one line that is not empty", u.Name)
		}
		seen[u.Name] = true
	}
	if (len(c.CertPEM) == 0) != (len(c.KeyPEM) == 0) {
		return errors.New("real proxies: want both certificate and key, or neither")
	}
	if strings.ContainsAny(c.ProxyHost, " \t\r\n:/@\"") {
		return fmt.Errorf("real proxies: proxy host %q: want a name", c.ProxyHost)
	}
	return nil
}

func (c Config) tls() bool { return len(c.CertPEM) > 0 }

// password returns the password of a configured user.
func (c Config) password(user string) (string, error) {
	for _, u := range c.Users {
		if u.Name == user {
			return u.Password, nil
		}
	}
	return "", fmt.Errorf("no user %q in this stack", user)
}
