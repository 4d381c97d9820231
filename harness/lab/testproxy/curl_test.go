package testproxy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// curl fetches a page through the proxy as alice and returns what it printed. The password goes in
// by standard input.
func curl(t *testing.T, p *Proxy, password, page string, flags ...string) (string, error) {
	t.Helper()
	peers.Need(t, "curl")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	flags = append(flags, "--silent", "--show-error", "--proxytunnel", "--noproxy", "", "--proxy", p.URL(), "--config", "-", page)
	cmd := exec.CommandContext(ctx, peers.Find("curl"), flags...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("proxy-user = \"alice:%s\"\n", password))
	cmd.Env = []string{"HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func webPage(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestCurl(t *testing.T) {
	hashed := aliceDigest("SHA-256")
	hashed.Users = []string{"bob", "alice"}
	both := []Scheme{Digest(aliceDigest("SHA-256")), Digest(aliceDigest("MD5"))}
	page := webPage(t)
	cert := testPKI(t)
	for _, c := range []struct {
		name    string
		schemes []Scheme
		flag    string
		legs    int // of the right password
	}{
		{"basic", []Scheme{basicAlice()}, "--proxy-basic", 1},
		{"digest/MD5", []Scheme{Digest(aliceDigest("MD5"))}, "--proxy-digest", 2},
		{"digest/SHA-256", []Scheme{Digest(aliceDigest("SHA-256"))}, "--proxy-digest", 2},
		{"digest/MD5-sess", []Scheme{Digest(aliceDigest("MD5-sess"))}, "--proxy-digest", 2},
		{"digest/SHA-256-sess", []Scheme{Digest(aliceDigest("SHA-256-sess"))}, "--proxy-digest", 2},
		{"digest/userhash", []Scheme{Digest(hashed)}, "--proxy-digest", 2},
		{"digest/both", both, "--proxy-digest", 2},
		{"digest/any", append(both, basicAlice()), "--proxy-anyauth", 2},
	} {
		for _, https := range []bool{false, true} {
			for password, right := range map[string]bool{"pässword": true, "wrong": false} {
				t.Run(fmt.Sprintf("%s/https=%v/%s", c.name, https, password), func(t *testing.T) {
					p, flags := &Proxy{Schemes: c.schemes}, []string{c.flag}
					if https {
						p.TLS, p.Host = cert.server, "localhost"
						flags = append(flags, "--proxy-cacert", cert.file)
					}
					start(t, p)
					out, err := curl(t, p, password, page, flags...)
					scheme := c.schemes[0].Name
					if right {
						wantFetched(t, p, out, err, scheme, page, c.legs)
					} else {
						wantOneRejection(t, p, out, err, scheme)
					}
				})
			}
		}
	}
}

func wantFetched(t *testing.T, p *Proxy, out string, err error, scheme, page string, legs int) {
	t.Helper()
	if err != nil || out != "the page" {
		t.Errorf("curl printed %q (%v), want the page; records %+v", out, err, p.Records())
	}
	if got, want := p.Attempts(), (Attempts{Accepted: 1}); len(got) != 1 || got[Account{scheme, "alice"}] != want {
		t.Errorf("attempts %+v, want one accepted of %s alice", got, scheme)
	}
	u, _ := url.Parse(page)
	if r := lastRecord(t, p, 200); r.User != "alice" || r.Scheme != scheme || r.Legs != legs || r.Target != u.Host || r.Up == 0 || r.Down == 0 {
		t.Errorf("record %+v, want alice by %s in %d legs to %s, with bytes", r, scheme, legs, u.Host)
	}
}

func wantOneRejection(t *testing.T, p *Proxy, out string, err error, scheme string) {
	t.Helper()
	if err == nil || !strings.Contains(out, "407") {
		t.Errorf("curl printed %q (%v), want a failure by 407", out, err)
	}
	if got := p.Rejected(scheme, "alice"); got != 1 || len(p.Attempts()) != 1 {
		t.Errorf("attempts %+v, want exactly one rejected of %s alice", p.Attempts(), scheme)
	}
	if got := p.Answers()[200]; got != 0 {
		t.Errorf("%d tunnels, want none", got)
	}
}

// A stale nonce costs a leg, not an attempt.
func TestCurlDigestStale(t *testing.T) {
	p := start(t, &Proxy{Schemes: []Scheme{Digest(aliceDigest("SHA-256"))}, Script: func(conn int) []Fault {
		if conn == 3 {
			return []Fault{MustFault("digest.stale")}
		}
		return nil
	}})
	page := webPage(t)
	second := webPage(t) // another target needs another tunnel
	third := webPage(t)
	out, err := curl(t, p, "pässword", page, "--proxy-digest", second, third)
	if err != nil || out != "the pagethe pagethe page" {
		t.Fatalf("curl printed %q (%v), want three pages; records %+v", out, err, p.Records())
	}
	if got, want := p.Attempts()[Account{"Digest", "alice"}], (Attempts{Accepted: 3}); got != want {
		t.Errorf("attempts %+v, want %+v", got, want)
	}
	if got := p.Answers(); got[407] != 4 || got[200] != 3 {
		t.Errorf("answers %v, want a 407 for each tunnel's first request, one for the stale nonce, and three tunnels", got)
	}
}
