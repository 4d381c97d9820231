package lab

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/ntlm/ntlmtest"
)

// ntlmDomain is the NetBIOS domain of the lab's NTLM proxies.
const ntlmDomain = "LAB"

// New starts the embedded lab: for every scheme an http and an https proxy that verify for real, a
// KDC, and the TURN server.
func New(log *slog.Logger) (*Lab, error) { return Config{Log: log}.startEmbedded() }

func (c Config) startEmbedded() (*Lab, error) {
	l, err := c.prepare("embedded")
	if err != nil {
		return nil, err
	}
	e := &embedded{lab: l, config: c}
	if err := e.start(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// embedded makes the proxies of the embedded lab.
type embedded struct {
	lab    *Lab
	config Config
	kdc    *realm
}

// EmbeddedSchemes are those of the embedded lab's proxies.
var EmbeddedSchemes = []string{
	SchemeNone, SchemeBasic, SchemeDigest, SchemeDigestSHA256, SchemeNTLM, SchemeNegoNTLM, SchemeKerberos, SchemeAll,
}

func (e *embedded) start() (err error) {
	if e.kdc, err = startRealm(e.lab); err != nil {
		return err
	}
	schemes := e.config.Schemes
	if schemes == nil {
		schemes = EmbeddedSchemes
	}
	for _, scheme := range schemes {
		for _, secure := range []bool{false, true} {
			p, err := e.proxy(scheme, secure)
			if err != nil {
				return err
			}
			e.lab.Proxies = append(e.lab.Proxies, p)
		}
	}
	e.lab.embedded = e
	return nil
}

func (e *embedded) proxy(scheme string, secure bool, faults ...testproxy.Fault) (Proxy, error) {
	p := &testproxy.Proxy{Host: host, Schemes: e.schemes(scheme), AllowTarget: e.allow, Faults: faults, Limits: e.config.Limits}
	if secure {
		p.TLS = e.lab.pki.server()
	}
	if err := p.Start(); err != nil {
		return Proxy{}, err
	}
	e.lab.onClose(p.Close)
	return Proxy{
		Implementation: "embedded", Scheme: scheme, TLS: secure, URL: p.URL(), PID: os.Getpid(),
		Tunnels:  func() ([]string, error) { return tunnels(p.Records()), nil },
		Failures: func() (int, error) { return rejections(p) + e.kdc.failures(), nil },
	}, nil
}

// allow keeps tunnels on this machine: one of the proxies asks nobody who he is.
func (e *embedded) allow(name string, port int) error {
	ip := net.ParseIP(name)
	switch {
	case port == e.lab.RefusedPort:
		return errors.New("the lab refuses this port")
	case name != host && (ip == nil || !ip.IsLoopback()):
		return errors.New("the lab reaches loopback only")
	}
	return nil
}

func tunnels(records []testproxy.Record) (users []string) {
	for _, r := range records {
		if r.Tunnel {
			users = append(users, r.User)
		}
	}
	return users
}

func rejections(p *testproxy.Proxy) (n int) {
	for _, a := range p.Attempts() {
		n += a.Rejected
	}
	return n
}

// schemes makes what a proxy offers, in the order in which it does.
func (e *embedded) schemes(scheme string) []testproxy.Scheme {
	user := e.lab.User
	check := func(name, password string) bool { return name == user.Name && password == user.Password }
	lookup := func(name string) (string, bool) { return user.Password, name == user.Name }
	digest := func(algorithm string) testproxy.Scheme {
		return testproxy.Digest(testproxy.DigestConfig{Realm: "lab", Password: lookup, Algorithm: algorithm})
	}
	switch scheme {
	case SchemeBasic:
		return []testproxy.Scheme{testproxy.Basic("lab", check)}
	case SchemeDigest:
		return []testproxy.Scheme{digest("MD5")}
	case SchemeDigestSHA256:
		return []testproxy.Scheme{digest("SHA-256")}
	case SchemeNTLM:
		return []testproxy.Scheme{e.ntlm("NTLM")}
	case SchemeNegoNTLM:
		return []testproxy.Scheme{e.ntlm("Negotiate")}
	case SchemeKerberos:
		return []testproxy.Scheme{e.kdc.scheme()}
	case SchemeAll:
		return slices.Concat(
			[]testproxy.Scheme{e.kdc.scheme(), e.ntlm("NTLM")},
			[]testproxy.Scheme{digest("MD5"), testproxy.Basic("lab", check)})
	}
	return nil
}

func (e *embedded) ntlm(scheme string) testproxy.Scheme {
	user := e.lab.User
	a := &ntlmtest.Acceptor{
		Domain: ntlmDomain, Host: host, SPNEGO: true,
		Password: func(name, _ string) (string, bool) { return user.Password, name == user.Name },
	}
	return testproxy.Scheme{
		Name: scheme, ConnectionBound: true,
		New: func(c testproxy.ConnInfo) testproxy.Handshake { return a.New(c.ChannelBinding) },
	}
}
