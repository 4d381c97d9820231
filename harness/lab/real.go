package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/turngate/turngate/harness/lab/realstack"
)

// A MissingError names the programs that the real lab needs and this machine has not.
type MissingError struct{ Programs []string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the real lab needs programs that are not on this machine: %s (scripts/peers.sh installs them on Debian)",
		strings.Join(e.Programs, ", "))
}

// NewReal starts the real lab: Squid, Apache and tinyproxy with Samba's, MIT's and their own
// verifiers, as an ordinary user in a private directory, and the TURN server. ctx bounds the start.
func NewReal(ctx context.Context, log *slog.Logger) (*Lab, error) {
	return Config{Log: log}.startReal(ctx)
}

func (c Config) startReal(ctx context.Context) (*Lab, error) {
	parts := c.realParts()
	if missing := realstack.Missing(parts...); len(missing) > 0 {
		return nil, &MissingError{missing}
	}
	l, err := c.prepare("real")
	if err != nil || len(parts) == 0 {
		return l, err
	}
	if err := l.startStack(ctx, c, parts); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// squids are the parts of the real lab that have one scheme.
var squids = map[string]string{
	SchemeBasic: "squid/basic", SchemeDigest: "squid/digest", SchemeNTLM: "squid/ntlm",
	SchemeKerberos: "squid/negotiate", SchemeAll: "squid/all",
}

// realParts are the parts of the real stack to start.
func (c Config) realParts() (parts []string) {
	if c.Schemes == nil {
		return []string{"squid", "apache", "tinyproxy"}
	}
	for _, scheme := range c.Schemes {
		parts = append(parts, squids[scheme])
	}
	return parts
}

func (l *Lab) startStack(ctx context.Context, c Config, parts []string) error {
	s, err := realstack.Start(ctx, realstack.Config{
		Users:     []realstack.User{{Name: l.User.Name, Password: l.User.Password}},
		ProxyHost: host, CertPEM: l.pki.certPEM, KeyPEM: l.pki.key, Only: parts,
		SquidExtra: c.SquidExtra, Log: logWriter{c.Log},
	})
	if err != nil {
		return err
	}
	l.onClose(s.Close)
	l.died = s.Died()
	l.Realm, l.RefusedPort, l.Logs = realstack.Realm, realstack.RefusedPort, s.Logs
	if err := l.adoptRealm(ctx, s); err != nil {
		return err
	}
	for _, p := range s.Proxies() {
		l.Proxies = append(l.Proxies, l.realProxy(s, p))
	}
	return nil
}

// adoptRealm takes over what there is of Kerberos: nothing, if no part of the stack needs a KDC.
func (l *Lab) adoptRealm(ctx context.Context, s *realstack.Stack) error {
	conf, err := os.ReadFile(s.Krb5Conf())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.Krb5Conf = string(conf)
	l.ExpiredCCache, err = s.ExpiredCCache(ctx, l.User.Name)
	return err
}

func (l *Lab) realProxy(s *realstack.Stack, from realstack.Proxy) Proxy {
	scheme := map[string]string{
		"Basic": SchemeBasic, "Digest": SchemeDigest, "NTLM": SchemeNTLM, "Negotiate": SchemeKerberos,
		realstack.AllSchemes: SchemeAll,
	}[from.Scheme]
	p := Proxy{Implementation: from.Name, Scheme: scheme, TLS: from.TLS(), URL: from.URL, PID: from.PID, Failures: l.realFailures(s, from)}
	if from.Name != "tinyproxy" { // which logs no users
		p.Tunnels = func() (users []string, err error) {
			requests, err := from.Requests()
			for _, r := range requests {
				if r.Tunnel() {
					users = append(users, r.Account)
				}
			}
			return users, err
		}
	}
	return p
}

// realFailures counts where the password is verified: at the KDC, at winbindd, or, where the proxy
// does it itself, by the lines in its log that refuse a named user.
func (l *Lab) realFailures(s *realstack.Stack, p realstack.Proxy) func() (int, error) {
	kdc := func() (int, error) { return s.KDCFailures(l.User.Name) }
	winbind := func() (int, error) { return s.WinbindFailures(l.User.Name) }
	switch {
	case p.Scheme == "Negotiate":
		return kdc
	case p.Scheme == "NTLM" && p.Name == "squid":
		return winbind
	case p.Scheme == realstack.AllSchemes:
		return func() (int, error) {
			a, errA := kdc()
			b, errB := winbind()
			c, errC := refusedUsers(p) // of Digest and Basic; the others' have no name in the log
			return a + b + c, errors.Join(errA, errB, errC)
		}
	case p.Name == "squid", p.Name == "apache" && p.Scheme != "NTLM":
		return func() (int, error) { return refusedUsers(p) }
	}
	return nil
}

func refusedUsers(p realstack.Proxy) (n int, err error) {
	requests, err := p.Requests()
	for _, r := range requests {
		if r.Status == 407 && r.User != "" {
			n++
		}
	}
	return n, err
}

// logWriter makes log lines of what is written.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Info(strings.TrimSpace(string(b)))
	return len(b), nil
}
