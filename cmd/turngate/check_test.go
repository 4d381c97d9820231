package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/internal/peers"
)

// A checkBench is a lab and the files that a user of it would have.
type checkBench struct {
	lab     *lab.Lab
	dir     string
	reports atomic.Int64 // written so far
}

func newCheckBench(t *testing.T) *checkBench {
	t.Helper()
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return benchOf(t, l)
}

func benchOf(t *testing.T, l *lab.Lab) *checkBench {
	t.Helper()
	b := &checkBench{lab: l, dir: t.TempDir()}
	b.write(t, "password", l.User.Password)
	b.write(t, "turn-password", l.TURN.User.Password)
	b.write(t, "ca.pem", string(l.CA))
	b.write(t, "krb5.conf", l.Krb5Conf)
	return b
}

func (b *checkBench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *checkBench) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.path(name)
}

// args are the flags for a proxy of the lab; more replace or follow them.
func (b *checkBench) args(url, auth string, secure bool, more ...string) []string {
	uri := "turn:" + b.lab.TURN.TCP + "?transport=tcp"
	if secure {
		uri = "turns:" + b.lab.TURN.TLS + "?transport=tcp"
	}
	return append([]string{"check", "--proxy", url, "--auth", auth, "--proxy-ca", b.path("ca.pem"), "--turn-ca", b.path("ca.pem"),
		"--krb5-conf", b.path("krb5.conf"), "--realm", b.lab.Realm, "--turn", uri, "--turn-user", b.lab.TURN.User.Name,
		"--turn-password-file", b.path("turn-password"), "--proxy-user", b.lab.User.Name,
		"--proxy-password-file", b.path("password"), "--verbose", "--json", b.path(fmt.Sprintf("report-%d.json", b.reports.Add(1)))}, more...)
}

// A checked is what one run of the command left behind.
type checked struct {
	status   int
	text     string // standard output and error
	document string
	diagnosis.Report
	Findings []diagnosis.Finding
}

// first is the code of the first finding, "" for none.
func (c checked) first() string {
	if len(c.Findings) == 0 {
		return ""
	}
	return c.Findings[0].Code
}

// check runs the command as it is typed, and looks for the lab's secrets in everything it wrote.
func (b *checkBench) check(t *testing.T, args []string) (c checked) {
	t.Helper()
	var out bytes.Buffer
	c.status = run(t.Context(), args, stdio{strings.NewReader(""), &out, &out})
	c.text = out.String()
	document, err := os.ReadFile(args[slices.Index(args, "--json")+1])
	if err != nil {
		t.Fatalf("%v\n%s", err, c.text)
	}
	c.document = string(document)
	if err := json.Unmarshal(document, &c); err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	for what, secret := range b.secrets() {
		if strings.Contains(c.text, secret) || strings.Contains(c.document, secret) {
			t.Errorf("the output shows %s:\n%s\n%s", what, c.text, c.document)
		}
	}
	return c
}

var authOf = map[string]string{lab.SchemeDigestSHA256: "digest", lab.SchemeAll: "auto"}

func authFor(scheme string) string {
	if auth := authOf[scheme]; auth != "" {
		return auth
	}
	return scheme
}

// A path that works has no finding, whatever the scheme, with and without TLS on either leg.
func TestCheckHealthy(t *testing.T) {
	b := newCheckBench(t)
	for _, p := range b.lab.Proxies {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,tls=%v,turns=%v", p.Scheme, p.TLS, secure), func(t *testing.T) {
				c := b.check(t, b.args(p.URL, authFor(p.Scheme), secure, "--quick"))
				if c.status != exitOK || len(c.Findings) > 0 || c.Media == nil || c.Media.Received != c.Media.Sent {
					t.Errorf("exit status %d, findings %v, want 0 and none:\n%s", c.status, c.Findings, c.text)
				}
				if !strings.Contains(c.text, "verdict: works") {
					t.Errorf("no verdict:\n%s", c.text)
				}
			})
		}
	}
}

// A fault ends in its code, first of the findings, with what to do; package matrix has them all.
func TestCheckFault(t *testing.T) {
	b := newCheckBench(t)
	p, err := b.lab.Faulty("ntlm.close-between-legs", lab.SchemeNTLM)
	if err != nil {
		t.Fatal(err)
	}
	got := b.check(t, b.args(p.URL, "ntlm", false, "--timeout", "700ms"))
	if got.status != exitFail || got.first() != "ntlm.closed-between-legs" || !strings.Contains(got.text, "hint: ") {
		t.Errorf("exit status %d, first finding %q; want 1, ntlm.closed-between-legs, a hint\n%s", got.status, got.first(), got.text)
	}
}

// What a proxy may do without being in the way is no finding.
func TestCheckHarmlessOddities(t *testing.T) {
	b := newCheckBench(t)
	for _, c := range []struct{ fault, scheme string }{
		{"407.close", lab.SchemeBasic}, {"407.http10", lab.SchemeBasic}, {"407.chunked", lab.SchemeNTLM}, {"407.no-length", lab.SchemeDigest},
		{"407.one-field", lab.SchemeAll}, {"digest.stale", lab.SchemeDigest}, {"ntlm.200-after-type1", lab.SchemeNTLM},
		{"ntlm.spnego", lab.SchemeNTLM}, {"200.content-length", lab.SchemeBasic}, {"200.http10", lab.SchemeNone}, {"split", lab.SchemeKerberos},
		{"2xx", lab.SchemeBasic}, {"1xx", lab.SchemeBasic}, {"tunnel.dpi", lab.SchemeBasic},
	} {
		t.Run(c.fault+","+c.scheme, func(t *testing.T) {
			p, err := b.lab.Faulty(c.fault, c.scheme)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.check(t, b.args(p.URL, authFor(c.scheme), true, "--quick")); got.status != exitOK || len(got.Findings) > 0 {
				t.Errorf("exit status %d, findings %v, want 0 and none:\n%s", got.status, got.Findings, got.text)
			}
		})
	}
}

// What is wrong with the user's side, at proxies that are sound.
func TestCheckWrongInput(t *testing.T) {
	b := newCheckBench(t)
	wrong := b.write(t, "wrong", "wr0ng-Password-1")
	proxy := func(scheme string, secure bool) lab.Proxy {
		for _, p := range b.lab.Proxies {
			if p.Scheme == scheme && p.TLS == secure {
				return p
			}
		}
		t.Fatalf("no proxy for %s", scheme)
		return lab.Proxy{}
	}
	basic, ntlm, kerberos, all := proxy(lab.SchemeBasic, false), proxy(lab.SchemeNTLM, false), proxy(lab.SchemeKerberos, false), proxy(lab.SchemeAll, false)
	none := proxy(lab.SchemeNone, false)
	port := func(n int) string { return fmt.Sprintf("turn:localhost:%d?transport=tcp", n) }
	otherCA := b.write(t, "other.pem", otherAuthority(t))
	noKDC := b.write(t, "no-kdc.conf", "[libdefaults]\ndns_lookup_kdc = false\n[realms]\n"+b.lab.Realm+" = {\nkdc = 127.0.0.1:1\n}\n")
	unnamedKDC := b.write(t, "unnamed-kdc.conf", "[libdefaults]\ndns_lookup_kdc = false\n")
	byAddress := strings.Replace(kerberos.URL, "localhost", "127.0.0.1", 1)
	for _, c := range []struct {
		name     string
		proxy    lab.Proxy
		url      string
		auth     string
		secure   bool
		more     []string
		want     string
		failures int // attempts with a wrong password
	}{
		{"wrong password, basic", basic, "", "basic", false, []string{"--proxy-password-file", wrong}, "proxy.auth-rejected", 1},
		{"wrong password, ntlm", ntlm, "", "ntlm", false, []string{"--proxy-password-file", wrong}, "proxy.auth-rejected", 1},
		{"wrong password, kerberos", kerberos, "", "kerberos", false, []string{"--proxy-password-file", wrong}, "kerberos.preauth-failed", 1},
		{"wrong password, all", all, "", "auto", false, []string{"--proxy-password-file", wrong}, "kerberos.preauth-failed", 1},
		{"unknown user, kerberos", kerberos, "", "kerberos", false, []string{"--proxy-user", "mallory"}, "kerberos.client-unknown", 0},
		{"expired ticket", kerberos, "", "kerberos", false, []string{"--ccache", b.lab.ExpiredCCache}, "auth.no-credential", 0},
		{"KDC not named", kerberos, "", "kerberos", false, []string{"--krb5-conf", unnamedKDC}, "kerberos.kdc-unreachable", 0},
		{"unreadable ticket", kerberos, "", "kerberos", false, []string{"--ccache", b.dir}, "auth.no-credential", 0},
		{"proxy by address", kerberos, byAddress, "kerberos", false, nil, "kerberos.proxy-address", 0},
		{"no KDC", kerberos, "", "kerberos", false, []string{"--krb5-conf", noKDC}, "kerberos.kdc-unreachable", 0},
		{"no common scheme", ntlm, "", "basic", false, nil, "proxy.no-common-scheme", 0},
		{"no password", ntlm, "", "none", false, nil, "proxy.no-common-scheme", 0},
		{"basic in the clear", basic, "", "auto", false, nil, "auth.cleartext", 0},
		{"refused port", none, "", "none", false, []string{"--turn", port(b.lab.RefusedPort)}, "proxy.ssl-ports", 0},
		{"nothing behind", none, "", "none", false, []string{"--turn", port(1)}, "proxy.target-unreachable", 0},
		{"proxy does not listen", none, "http://localhost:1", "none", false, nil, "proxy.unreachable", 0},
		{"proxy has no address", none, "http://proxy.invalid:1", "none", false, nil, "proxy.unknown-name", 0},
		{"https to an http proxy", none, strings.Replace(none.URL, "http:", "https:", 1), "none", false, nil, "proxy.tls", 0},
		{"http to an https proxy", none, strings.Replace(proxy(lab.SchemeNone, true).URL, "https:", "http:", 1), "none", false, nil, "proxy.not-http", 0},
		{"proxy's certificate not trusted", none, proxy(lab.SchemeNone, true).URL, "none", false, []string{"--proxy-ca", otherCA}, "proxy.tls", 0},
		{"server's certificate not trusted", none, "", "none", true, []string{"--turn-ca", otherCA}, "tls.untrusted", 0},
		{"turns to a turn port", none, "", "none", true, []string{"--turn", "turns:" + b.lab.TURN.TCP}, "turn.not-tls", 0},
		{"turn to a turns port", none, "", "none", false, []string{"--turn", "turn:" + b.lab.TURN.TLS + "?transport=tcp"}, "turn.not-turn", 0},
		{"wrong TURN password", none, "", "none", true, []string{"--turn-password-file", wrong}, "turn.rejected", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, err := c.proxy.Failures()
			if err != nil {
				t.Fatal(err)
			}
			url := c.url
			if url == "" {
				url = c.proxy.URL
			}
			args := b.args(url, c.auth, c.secure, append(c.more, "--timeout", "2s")...)
			got := b.check(t, args)
			if got.status != exitFail || got.first() != c.want {
				t.Errorf("exit status %d, first finding %q; want 1, %q\n%s", got.status, got.first(), c.want, got.text)
			}
			if strings.Contains(got.text+got.document, "wr0ng-Password") {
				t.Errorf("the output shows the wrong password:\n%s", got.text)
			}
			if after, err := c.proxy.Failures(); err != nil || after-before != c.failures {
				t.Errorf("%d attempts failed at the verifier, %v; want %d\n%s", after-before, err, c.failures, got.text)
			}
		})
	}
}

// An interrupted check judges nothing.
func TestCheckInterrupted(t *testing.T) {
	b := newCheckBench(t)
	p, err := b.lab.Faulty("hang", lab.SchemeBasic)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &cancelOn{text: "TLS to proxy", cancel: cancel}
	status := run(ctx, b.args(p.URL, "basic", false, "--timeout", "1m"), stdio{strings.NewReader(""), out, out})
	if status != exitVoid || !strings.Contains(out.String(), "interrupted: not judged") || strings.Contains(out.String(), "hint:") {
		t.Errorf("exit status %d, want 3 and no finding:\n%s", status, out.String())
	}
}

// cancelOn interrupts when a text is written.
type cancelOn struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (c *cancelOn) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

// otherAuthority is the PEM of an authority that signed nothing here.
func otherAuthority(t *testing.T) string {
	t.Helper()
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return string(l.CA)
}

// The real Squid, with the real winbindd behind its NTLM and the real KDC behind Kerberos.
func TestCheckSquid(t *testing.T) {
	peers.Need(t, "squid", "basic_ncsa_auth", "htpasswd", "ntlm_auth", "winbindd", "krb5kdc", "negotiate_kerberos_auth")
	b := newCheckBench(t)
	stack, err := realstack.Start(t.Context(), realstack.Config{
		Users: []realstack.User{{Name: b.lab.User.Name, Password: b.lab.User.Password}}, Only: []string{"squid/basic", "squid/ntlm", "squid/negotiate"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	wrong := b.write(t, "wrong", "wr0ng-Password-1")
	for _, p := range stack.Proxies() {
		auth, want := strings.ToLower(p.Scheme), "proxy.auth-rejected"
		if auth == "negotiate" {
			auth, want = "kerberos", "kerberos.preauth-failed"
		}
		krb5 := []string{"--krb5-conf", stack.Krb5Conf(), "--realm", realstack.Realm}
		t.Run(auth, func(t *testing.T) {
			if c := b.check(t, b.args(p.URL, auth, true, krb5...)); c.status != exitOK || len(c.Findings) > 0 {
				t.Errorf("exit status %d, findings %v, want 0 and none:\n%s", c.status, c.Findings, c.text)
			}
			refused := b.args(p.URL, auth, false, "--turn", fmt.Sprintf("turn:localhost:%d?transport=tcp", realstack.RefusedPort))
			c := b.check(t, refused)
			if c.first() != "proxy.ssl-ports" || c.Answer == nil || c.Answer.Product != "Squid" {
				t.Errorf("first finding %q of %+v, want proxy.ssl-ports of Squid\n%s", c.first(), c.Answer, c.text)
			}
			c = b.check(t, b.args(p.URL, auth, true, append(krb5, "--proxy-password-file", wrong)...))
			if c.first() != want || c.status != exitFail {
				t.Errorf("exit status %d, first finding %q; want 1, %s\n%s", c.status, c.first(), want, c.text)
			}
		})
	}
	if n, err := stack.WinbindFailures(b.lab.User.Name); err != nil || n != 1 {
		t.Errorf("winbindd counts %d failures, %v; want 1", n, err)
	}
	if n, err := stack.KDCFailures(b.lab.User.Name); err != nil || n != 1 {
		t.Errorf("the KDC counts %d failures, %v; want 1", n, err)
	}
	for _, p := range stack.Proxies() {
		if p.Scheme == "Basic" {
			checkRefusals(t, p, b.lab.User.Name)
		}
	}
}

// checkRefusals wants one line of a refused user in Squid's log.
func checkRefusals(t *testing.T, p realstack.Proxy, user string) {
	t.Helper()
	requests, err := p.Requests()
	n := 0
	for _, r := range requests {
		if r.Status == 407 && r.User == user {
			n++
		}
	}
	if err != nil || n != 1 {
		t.Errorf("Squid refused the user %d times, %v; want 1", n, err)
	}
}

func (b *checkBench) read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
