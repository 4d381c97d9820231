//go:build linux

package realstack

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStack starts everything once and looks at it from all sides.
func TestStack(t *testing.T) {
	stopWatching := watchProcesses(t)
	b := newBench(t)
	stopWatching()
	t.Run("offers", b.testOffers)
	t.Run("logins", b.testLogins)
	t.Run("raw NTLM", b.testRawNTLM)
	t.Run("counters", b.testCounters)
	t.Run("refusals", b.testRefusals)
	t.Run("names", b.testRemoteName)
	t.Run("parallel", b.testParallel)
	t.Run("caches", b.testCaches)
	t.Run("odd passwords", b.testOddPasswords)
	t.Run("files", b.testFiles)
	traces := tracesOf(t, b.Dir, b.Proxies())
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	traces.mustBeGone(t)
}

func (b *bench) testOffers(t *testing.T) {
	var got []string
	for _, p := range b.Proxies() {
		scheme, _, _ := strings.Cut(p.URL, ":")
		got = append(got, p.Name+"/"+p.Scheme+"/"+scheme)
	}
	want := []string{
		"squid/Basic/http", "squid/Basic/https", "squid/Digest/http", "squid/Digest/https",
		"squid/NTLM/http", "squid/NTLM/https", "squid/Negotiate/http", "squid/Negotiate/https",
		"squid/all/http", "squid/all/https",
		"apache/Basic/http", "apache/Basic/https", "apache/Digest/http", "apache/Digest/https",
		"apache/NTLM/http", "apache/NTLM/https", "apache/Negotiate/http", "apache/Negotiate/https",
		"tinyproxy/Basic/http",
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("proxies\ngot  %v\nwant %v", got, want)
	}
}

// testLogins logs in at every proxy by every scheme, rightly and wrongly, and reads the proxy's log.
func (b *bench) testLogins(t *testing.T) {
	ticket, err := b.CCache(within(t), alice.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Proxies() {
		for _, scheme := range schemes(p) {
			t.Run(p.Name+"/"+p.Scheme+"/"+scheme+map[bool]string{true: "/tls"}[p.TLS()], func(t *testing.T) {
				wrong := login{scheme, User{alice.Name, "wrong"}, filepath.Join(t.TempDir(), "none")}
				want := "407"
				if p.Name == "tinyproxy" {
					want = "401" // its way to say that a password is wrong
				}
				if connect, status := b.curl(t, p, b.target, wrong); connect != want || status != "000" {
					t.Errorf("wrong login: CONNECT got %s, want %s; request got %s, want 000", connect, want, status)
				}
				seen := len(requests(t, p))
				right := login{scheme, alice, ticket}
				if scheme == "NTLM-in-Negotiate" {
					right.cache = wrong.cache // with a ticket curl would use that
				}
				if connect, status := b.curl(t, p, b.target, right); connect != "200" || status != "200" {
					t.Fatalf("right login: CONNECT got %s, request got %s, want 200 200", connect, status)
				}
				if p.Name != "tinyproxy" {
					b.checkLogged(t, p, seen, scheme)
				}
			})
		}
	}
}

// checkLogged: the proxy calls alice what her scheme makes of her.
func (b *bench) checkLogged(t *testing.T, p Proxy, seen int, scheme string) {
	r, err := p.AwaitTunnel(within(t), seen, alice.Name, b.target)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name == "squid" && r.Verdict != "TCP_TUNNEL" {
		t.Errorf("got %+v, want the verdict TCP_TUNNEL", r)
	}
	want := map[string]string{
		"Negotiate": "alice@" + Realm, "NTLM": Domain + `\alice`, "NTLM-in-Negotiate": Domain + `\alice`,
	}[scheme]
	if want == "" {
		want = "alice"
	}
	if r.Account != want {
		t.Errorf("the proxy calls the user %q, want %q", r.Account, want)
	}
}

// testRawNTLM: NTLM without SPNEGO around it under Negotiate, as Windows sends it, which curl cannot.
func (b *bench) testRawNTLM(t *testing.T) {
	for _, p := range []Proxy{b.proxy(t, "squid", AllSchemes), b.proxy(t, "apache", "NTLM")} {
		for _, u := range []User{alice, carol, umlau} {
			if knowsNot(p, u) {
				continue
			}
			if got := rawNTLM(t, p, b.target, User{u.Name, "wrong"}); got != 407 {
				t.Errorf("%v, %s, wrong password: got %d, want 407", p, u, got)
			}
			if got := rawNTLM(t, p, b.target, u); got != 200 {
				t.Errorf("%v, %s: got %d, want 200", p, u, got)
			}
		}
	}
}

// knowsNot tells which proxies cannot be configured with which passwords; see User.
func knowsNot(p Proxy, u User) bool {
	return p.Name == "tinyproxy" && !tinyPassword.MatchString(u.Password) ||
		p.Name == "apache" && p.Scheme == "NTLM" && strings.Contains(u.Password, ":")
}

func requests(t *testing.T, p Proxy) []Request {
	if p.Name == "tinyproxy" {
		return nil
	}
	requests, err := p.Requests()
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

func (b *bench) proxy(t *testing.T, name, scheme string) Proxy {
	for _, p := range b.Proxies() {
		if p.Name == name && p.Scheme == scheme {
			return p
		}
	}
	t.Fatalf("no proxy %s %s", name, scheme)
	return Proxy{}
}

// testCounters: what turngate promises about locked accounts is measured with these, so they must be
// exact.
func (b *bench) testCounters(t *testing.T) {
	wrong := User{bob.Name, "wrong"}
	for _, scheme := range []string{"Basic", "Digest"} {
		p := b.proxy(t, "squid", scheme)
		b.curl(t, p, b.target, login{scheme: scheme, user: wrong})
		rejections := func() (n int, err error) {
			for _, r := range requests(t, p) {
				if r.Status == 407 && r.User == bob.Name {
					n++
				}
			}
			return n, nil
		}
		if got, _ := settle(t, 1, rejections); got != 1 {
			t.Errorf("%v logged %d rejections of bob, want 1: %+v", p, got, requests(t, p))
		}
	}

	for want := range 3 {
		if got, err := settle(t, want, func() (int, error) { return b.WinbindFailures(bob.Name) }); err != nil || got != want {
			t.Errorf("winbind: got %d failures, %v, want %d", got, err, want)
		}
		b.curl(t, b.proxy(t, "squid", "NTLM"), b.target, login{scheme: "NTLM", user: wrong})
	}
	if connect, _ := b.curl(t, b.proxy(t, "squid", "NTLM"), b.target, login{scheme: "NTLM", user: bob}); connect != "200" {
		t.Errorf("bob's right password after wrong ones: got %s, want 200", connect)
	}
	for want := range 3 {
		if got, err := settle(t, want, func() (int, error) { return b.KDCFailures(bob.Name) }); err != nil || got != want {
			t.Errorf("KDC: got %d failures, %v, want %d", got, err, want)
		}
		if cache, err := b.kinit(within(t), bob.Name, "wrong", time.Hour); err == nil {
			t.Errorf("kinit with a wrong password made %s", cache)
		}
	}
	if got, err := b.KDCFailures(carol.Name); err != nil || got != 0 {
		t.Errorf("KDC: got %d failures of a user who never failed, %v, want 0", got, err)
	}
}

// settle asks for a count until it has come to want, for the programs may write their logs after they
// have answered, and returns what it is then.
func settle(t *testing.T, want int, count func() (int, error)) (got int, err error) {
	ctx := within(t)
	for {
		if got, err = count(); got >= want || err != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (b *bench) testRefusals(t *testing.T) {
	tests := []struct{ name, proxy, to, want string }{
		{"refused port", "squid", "127.0.0.1:9", "403"},
		{"beyond loopback", "squid", "192.0.2.1:443", "403"},
		{"name beyond loopback", "squid", "www.example.com:443", "403"},
		{"nobody listens", "squid", "127.0.0.1:1", "503"},
		{"refused port", "apache", "127.0.0.1:9", "403"},
		{"beyond loopback", "apache", "192.0.2.1:443", "403"},
		{"beyond loopback", "tinyproxy", "192.0.2.1:443", "403"},
	}
	for _, test := range tests {
		t.Run(test.proxy+"/"+test.name, func(t *testing.T) {
			p := b.proxy(t, test.proxy, "Basic")
			if got, _ := b.curl(t, p, test.to, login{scheme: "Basic", user: alice}); got != test.want {
				t.Errorf("%v, CONNECT %s: got %s, want %s", p, test.to, got, test.want)
			}
		})
	}
}

func (b *bench) testRemoteName(t *testing.T) {
	p, to := b.proxy(t, "squid", "Basic"), RemoteName+":"+b.port
	if connect, status := b.curl(t, p, to, login{scheme: "Basic", user: alice}); connect != "200" || status != "200" {
		t.Errorf("%s through %v: got %s %s, want 200 200", to, p, connect, status)
	}
}

// testParallel holds more handshakes at once than helpers are running at first.
func (b *bench) testParallel(t *testing.T) {
	ticket, err := b.CCache(within(t), alice.Name)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, scheme := range []string{"NTLM", "Negotiate"} {
		p := b.proxy(t, "squid", scheme)
		for range 10 {
			wg.Go(func() {
				if connect, status := b.curl(t, p, b.target, login{scheme, alice, ticket}); connect != "200" || status != "200" {
					t.Errorf("%v: got %s %s, want 200 200", p, connect, status)
				}
			})
		}
	}
	wg.Wait()
}

func (b *bench) testCaches(t *testing.T) {
	expired, err := b.ExpiredCCache(within(t), alice.Name)
	if err != nil {
		t.Fatal(err)
	}
	p := b.proxy(t, "squid", "Negotiate")
	if connect, _ := b.curl(t, p, b.target, login{scheme: "Negotiate", cache: expired}); connect != "407" {
		t.Errorf("with an expired ticket: got %s, want 407", connect)
	}
	env := append(b.krb5Env(), "KRB5CCNAME=FILE:"+b.path("cc-by-keytab"))
	if _, err := b.run(within(t), "", env, "kinit", "-k", "-t", b.Keytab(alice.Name), alice.Name); err != nil {
		t.Errorf("login by keytab: %v", err)
	}
	for _, user := range []string{"nosuch", alice.Name + "x"} {
		if cache, err := b.CCache(within(t), user); err == nil {
			t.Errorf("CCache of a user who is not in the stack: got %s, want an error", cache)
		}
	}
}

// testOddPasswords: a password arrives at each verifier as it was given.
func (b *bench) testOddPasswords(t *testing.T) {
	for _, u := range []User{carol, umlau} {
		for _, p := range b.Proxies() {
			for _, scheme := range schemes(p) {
				if knowsNot(p, u) || scheme == "Negotiate" || p.TLS() {
					continue
				}
				if u == umlau && strings.HasPrefix(scheme, "NTLM") {
					continue // curl takes the bytes of UTF-8 for characters
				}
				if connect, _ := b.curl(t, p, b.target, login{scheme: scheme, user: u}); connect != "200" {
					t.Errorf("%s at %v by %s: got %s, want 200", u, p, scheme, connect)
				}
			}
		}
		if _, err := b.CCache(within(t), u.Name); err != nil {
			t.Errorf("%s at the KDC: %v", u, err)
		}
		if err := b.askWinbind(within(t), u); err != nil {
			t.Errorf("%s at winbindd: %v", u, err)
		}
	}
}

// testFiles: what may hold a secret is private, and no log holds a password.
func (b *bench) testFiles(t *testing.T) {
	logs := 0
	err := filepath.WalkDir(b.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if path == b.Dir && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700: all below relies on it", path, info.Mode())
		}
		if filepath.Dir(path) != b.path("log") || !info.Mode().IsRegular() {
			return nil
		}
		logs++
		content, err := os.ReadFile(path)
		for _, u := range users {
			if strings.Contains(string(content), u.Password) {
				t.Errorf("%s holds the password of %s", path, u)
			}
		}
		return err
	})
	if err != nil || logs == 0 {
		t.Errorf("looked at %d logs, %v", logs, err)
	}
}
