package proxyfind

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/credentials"
)

// A Source is who names the way.
type Source string

// The sources. Credentials go to a proxy that the user named: by flag or environment.
const (
	ByFlag        Source = "flag"
	ByEnvironment Source = "environment"
	ByPAC         Source = "PAC"
	ByWPAD        Source = "WPAD"
	ByNothing     Source = "nothing" // nobody names a proxy: DIRECT
)

// Found is the way and who decided it.
type Found struct {
	Source Source `json:"source"`
	By     string `json:"by"`             // in words: "--proxy", "HTTPS_PROXY", "FindProxyForURL in http://..."
	Ways   []Way  `json:"ways"`           // in their order, at least one that is no SOCKS
	Line   int    `json:"line,omitempty"` // of the script that holds the answer, if there is just one

	Asked   string   `json:"asked,omitempty"`   // the URL that FindProxyForURL was asked for
	Answer  string   `json:"answer,omitempty"`  // what it said, shortened
	Ignored []string `json:"ignored,omitempty"` // of the answer
	Lookups []Lookup `json:"lookups,omitempty"` // that the script made
	Alerts  []string `json:"alerts,omitempty"`  // what it wrote
	Passed  []string `json:"passed,omitempty"`  // WPAD: what was tried before, and why it was nothing

	// User and Password are those of an environment variable's URL.
	User     string             `json:"user,omitempty"`
	Password credentials.Secret `json:"-"`
}

// Named tells whether the user named the proxy, so that credentials may go to it.
func (f Found) Named() bool { return f.Source == ByFlag || f.Source == ByEnvironment }

// Usable are the ways that are not SOCKS.
func (f Found) Usable() []Way {
	return slices.DeleteFunc(slices.Clone(f.Ways), func(w Way) bool { return w.Kind == SOCKS })
}

// A Lookup is a name that a script asked for.
type Lookup struct {
	Name      string `json:"name"`
	Addresses string `json:"addresses,omitempty"` // with commas
	Error     string `json:"error,omitempty"`
}

// A Finder looks for the proxy. The first of Proxy, PAC, WPAD and the environment decides. The zero
// value asks the environment. Find may be called concurrently.
type Finder struct {
	Proxy string // URL
	PAC   string // path or URL (http, https, file) of a PAC file
	WPAD  bool   // ask wpad.DOMAIN for /wpad.dat, for the search domains of resolv.conf

	// Timeout is for fetching a file and for running its script, each. Default 5 s.
	Timeout time.Duration

	// Memory is what a script may use, in bytes. Default 64 MB.
	Memory int64

	// TLS is for PAC files at https URLs; it is cloned. Default: the system's roots.
	TLS *tls.Config

	// Command is the program that runs a script, and its arguments; it must end in Child. Default: this
	// program with the argument pac-child.
	Command []string

	// For tests. Defaults: the environment, the system's resolver, the addresses of this machine, the
	// clock, /etc/resolv.conf.
	Getenv     func(string) string
	Lookup     func(ctx context.Context, name string) ([]netip.Addr, error)
	Addresses  func() []netip.Addr
	Now        func() time.Time
	ResolvConf string
	transport  *http.Transport
}

const (
	// DefaultTimeout is a Finder's.
	DefaultTimeout = 5 * time.Second

	defaultMemory = 64 << 20

	// MaxScript bounds a PAC file, as in Chromium.
	MaxScript = 1 << 20
)

// Find names the ways to target, host:port. Every error is an *Error, but for that of a target which
// is none.
func (f *Finder) Find(ctx context.Context, target string) (Found, error) {
	host, port, ok := splitAddress(target, "")
	if !ok {
		return Found{}, fmt.Errorf("target %q: want HOST:PORT", target)
	}
	switch {
	case f.Proxy != "":
		return f.byFlag()
	case f.PAC != "":
		return f.byPAC(ctx, host, port)
	case f.WPAD:
		return f.byWPAD(ctx, host, port)
	}
	return f.byEnvironment(host, port)
}

func (f *Finder) byFlag() (Found, error) {
	ways, err := proxyWays(f.Proxy)
	if err != nil {
		return Found{}, &Error{Failure: BadValue, Where: "--proxy", Err: err}
	}
	return Found{Source: ByFlag, By: "--proxy", Ways: ways}, nil
}

func (f *Finder) byPAC(ctx context.Context, host, port string) (Found, error) {
	script, err := f.load(ctx, f.PAC)
	if err != nil {
		return Found{}, err
	}
	found, err := f.evaluate(ctx, f.PAC, script, host, port)
	found.Source = ByPAC
	return found, err
}

// evaluate asks a script and reads its answer.
func (f *Finder) evaluate(ctx context.Context, where, script, host, port string) (Found, error) {
	found := Found{By: "FindProxyForURL in " + where, Asked: askedURL(host, port)}
	answer, err := f.run(ctx, &found, question{Script: script, URL: found.Asked, Host: strings.ToLower(host)})
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Where = where
		}
		return found, err
	}
	found.Answer, found.Line = clip(answer), lineOf(script, answer)
	found.Ways, found.Ignored = parseWays(answer)
	fail := func(kind Failure) error {
		return &Error{Failure: kind, Where: where, Line: found.Line, Err: fmt.Errorf("FindProxyForURL(%q) says %q", found.Asked, found.Answer)}
	}
	switch {
	case len(found.Ways) == 0:
		return found, fail(NothingToUse)
	case len(found.Usable()) == 0:
		return found, fail(OnlySOCKS)
	}
	return found, nil
}

// askedURL is what Chromium asks for a TURN connection over TCP or TLS: an https URL of host and port;
// the port is left out where it is that of https.
func askedURL(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "443" {
		host += ":" + port
	}
	return "https://" + strings.ToLower(host) + "/"
}

// lineOf returns the line of a script that holds an answer as a literal, if there is just one.
func lineOf(script, answer string) (line int) {
	if answer == "" {
		return 0
	}
	n := 0
	for text := range strings.Lines(script) {
		n++
		if strings.Contains(text, `"`+answer+`"`) || strings.Contains(text, "'"+answer+"'") {
			if line > 0 {
				return 0
			}
			line = n
		}
	}
	return line
}

func (f *Finder) timeout() time.Duration {
	if f.Timeout <= 0 {
		return DefaultTimeout
	}
	return f.Timeout
}
