package matrix

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab"
)

// LabCells returns the cells of a lab: the direct baselines first, then every proxy over turn and
// turns, then what must fail.
func LabCells(l *lab.Lab) (cells []Cell) {
	for _, secure := range []bool{false, true} {
		t := labTURN(l, secure)
		cells = append(cells, Cell{Name: "direct/" + t.transport() + "/udp", TURN: t, Expect: codeThrough, Measure: true})
	}
	for _, p := range l.Proxies {
		for _, secure := range []bool{false, true} {
			cells = append(cells, through(l, p, secure))
		}
	}
	for _, p := range l.Proxies {
		if !p.TLS {
			cells = append(cells, mustFail(l, p)...)
		}
	}
	if l.Name == "embedded" {
		cells = append(cells, faultCells(l)...)
	}
	return cells
}

func labTURN(l *lab.Lab, secure bool) TURN {
	t := TURN{
		Address: l.TURN.TCP, Secure: secure, Config: l.ClientTLS, FarDirect: true,
		User: l.TURN.User.Name, Password: credentials.Secret(l.TURN.User.Password),
	}
	if secure {
		t.Address = l.TURN.TLS
	}
	return t
}

// cellName is the path of a cell.
func cellName(p lab.Proxy, t TURN, suffix ...string) string {
	kind := "http-proxy"
	if p.TLS {
		kind = "https-proxy"
	}
	return strings.Join(append([]string{p.Scheme, kind, t.transport(), "udp", p.Implementation}, suffix...), "/")
}

// through is the cell of a proxy that must let us through.
func through(l *lab.Lab, p lab.Proxy, secure bool) Cell {
	t := labTURN(l, secure)
	c := Cell{Name: cellName(p, t), TURN: t, Proxy: p.URL, TLS: l.ClientTLS, Auth: labAuth(l, p), Expect: codeThrough, Measure: true}
	if p.Tunnels != nil && p.Scheme != lab.SchemeNone {
		c.Begin = append(c.Begin, func() Check { return loggedUser(p, l.User.Name) })
	}
	return c
}

// labAuth is what the lab's user has for a proxy.
func labAuth(l *lab.Lab, p lab.Proxy) credentials.Spec {
	s := credentials.Spec{
		Auth: map[string]string{lab.SchemeDigestSHA256: "digest", lab.SchemeAll: "auto"}[p.Scheme],
		User: l.User.Name, Password: credentials.Secret(l.User.Password),
		Realm: l.Realm, Krb5Conf: l.Krb5Conf,
	}
	if s.Auth == "" {
		s.Auth = p.Scheme
	}
	return s
}

// mustFail are the cells of a proxy that pass when they fail as declared.
func mustFail(l *lab.Lab, p lab.Proxy) (cells []Cell) {
	t := labTURN(l, false)
	add := func(suffix, expect string, change func(*Cell)) *Cell {
		c := Cell{Name: cellName(p, t, suffix), TURN: t, Proxy: p.URL, TLS: l.ClientTLS, Auth: labAuth(l, p), Expect: expect}
		change(&c)
		cells = append(cells, c)
		return &cells[len(cells)-1]
	}
	if p.Scheme == lab.SchemeNone {
		add("refused-port", codeRefused, func(c *Cell) { c.TURN.Address = fmt.Sprintf("localhost:%d", l.RefusedPort) })
		return cells
	}
	once := func(c *Cell) {
		if p.Failures != nil {
			c.Begin = append(c.Begin, func() Check { return failures(p, 1) })
		}
	}
	add("wrong-password", codeRejected, func(c *Cell) { c.Auth.Password += "-wrong"; once(c) })
	add("unknown-user", codeRejected, func(c *Cell) { c.Auth.User = "mallory" })
	if p.Scheme == lab.SchemeKerberos {
		add("expired-ticket", codeNoCredential, func(c *Cell) { c.Auth.CCache = l.ExpiredCCache })
		add("no-ticket", codeNoCredential, func(c *Cell) { c.Auth.CCache = missingCCache })
	}
	if p.Scheme == lab.SchemeAll {
		add("no-ticket-then-ntlm", codeThrough, func(c *Cell) {
			c.Auth.Auth, c.Auth.CCache = "kerberos,ntlm", missingCCache
			c.Begin = append(c.Begin, func() Check { return loggedUser(p, l.User.Name) })
		})
		add("no-ticket-wrong-password", codeRejected, func(c *Cell) { // NTLM is the first to use it
			c.Auth.Password += "-wrong"
			c.Auth.CCache = missingCCache
			once(c)
		})
		add("refused-port", codeRefused, func(c *Cell) { c.TURN.Address = fmt.Sprintf("localhost:%d", l.RefusedPort) })
		return cells
	}
	add("no-common-scheme", codeNoScheme, func(c *Cell) { c.Auth.Auth = otherScheme(p.Scheme) })
	return cells
}

// missingCCache is where no credential cache is.
var missingCCache = filepath.Join("/nonexistent", "turngate-no-ticket")

func otherScheme(scheme string) string {
	if scheme == lab.SchemeBasic {
		return "digest"
	}
	return "basic"
}

// faultCells are what an embedded proxy can do wrong and how it must end.
func faultCells(l *lab.Lab) (cells []Cell) {
	for _, f := range []struct {
		fault, scheme, expect string
		timeout               time.Duration
	}{
		{"407.close", lab.SchemeBasic, codeThrough, 0},
		{"407.close", lab.SchemeNTLM, codeNotKept, 0},
		{"ntlm.close-between-legs", lab.SchemeNTLM, codeClosed, 0},
		{"ntlm.200-after-type1", lab.SchemeNTLM, codeThrough, 0},
		{"403", lab.SchemeBasic, codeRefused, 0},
		{"407.slow=10s", lab.SchemeBasic, codeTimeout, 500 * time.Millisecond},
		// No STUN message has such a length: that the TURN client chokes on it proves that the
		// bytes behind the 200 reach it.
		{"200.glued-text=1111", lab.SchemeBasic, codeTURN, 0},
	} {
		t := labTURN(l, false)
		name, _, _ := strings.Cut(f.fault, "=")
		cells = append(cells, Cell{
			Name: strings.Join([]string{"fault", name, f.scheme, t.transport(), "udp", l.Name}, "/"), TURN: t,
			Auth: labAuth(l, lab.Proxy{Scheme: f.scheme}), Expect: f.expect, Timeout: f.timeout,
			Prepare: func(_ context.Context, c *Cell) (func(), error) {
				p, err := l.Faulty(f.fault, f.scheme)
				c.Proxy = p.URL
				return func() {}, err
			},
		})
	}
	return cells
}

// What the checks of a lab's cells are called in the report.
const (
	checkRecord   = "the proxy's record of the tunnel"
	checkFailures = "failed attempts at the verifier"
)

// loggedUser checks that the proxy wrote down one more tunnel of the user.
func loggedUser(p lab.Proxy, user string) Check {
	before, errBefore := p.Tunnels()
	return func(ctx context.Context) (name, found string, ok bool) {
		name = checkRecord
		if errBefore != nil {
			return name, errBefore.Error(), false
		}
		var now []string
		var err error
		ok = poll(ctx, func() bool {
			now, err = p.Tunnels()
			return err != nil || len(now) > len(before) && slices.ContainsFunc(now[len(before):], func(u string) bool { return sameUser(u, user) })
		})
		if err != nil {
			return name, err.Error(), false
		}
		if len(now) < len(before) {
			return name, "the record has become shorter", false
		}
		return name, fmt.Sprintf("new tunnels of %q, want one of %s", now[len(before):], user), ok
	}
}

// sameUser compares without what proxies add: a realm after, a domain before.
func sameUser(logged, user string) bool {
	logged = logged[strings.LastIndexByte(logged, '\\')+1:]
	logged, _, _ = strings.Cut(logged, "@")
	return strings.EqualFold(logged, user)
}

// failures checks that the cell cost exactly n failed attempts at the verifier.
func failures(p lab.Proxy, n int) Check {
	before, errBefore := p.Failures()
	return func(ctx context.Context) (string, string, bool) {
		if errBefore != nil {
			return checkFailures, errBefore.Error(), false
		}
		var now int
		var err error
		poll(ctx, func() bool {
			now, err = p.Failures()
			return err != nil || now-before >= n
		})
		if err != nil {
			return checkFailures, err.Error(), false
		}
		return checkFailures, fmt.Sprintf("%d, want %d", now-before, n), now-before == n
	}
}

// poll asks until the answer is yes or the context ends; what it asks about are files that other
// programs write.
func poll(ctx context.Context, done func() bool) bool {
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}
