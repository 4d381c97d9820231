package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/lab"
)

// finding are the flags without a proxy.
func (b *checkBench) finding(more ...string) []string {
	args := b.args("", "basic", false, "--quick", "--timeout", "3s")
	for i, a := range args {
		if a == "--proxy" {
			args = append(args[:i:i], args[i+2:]...)
			break
		}
	}
	return append(args, more...)
}

// Who names the proxy, what is done with the name, and each way to find none.
func TestCheckFinds(t *testing.T) {
	clearProxies(t)
	b := newCheckBench(t)
	at := make(map[bool]string)
	for _, p := range b.lab.Proxies {
		if p.Scheme == lab.SchemeBasic {
			at[p.TLS] = strings.SplitN(p.URL, "//", 2)[1]
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("<!DOCTYPE html><title>Please sign in</title>"))
	}))
	defer server.Close()
	script := func(body string) string {
		return b.write(t, strings.ReplaceAll(t.Name(), "/", "-")+".pac", "function FindProxyForURL(url, host) {\n"+body+"\n}\n")
	}
	answer := func(text string) func() string { return func() string { return script("return '" + text + "';") } }
	file := func(body string) func() string { return func() string { return script(body) } }
	place := func(text string) func() string { return func() string { return text } }
	for _, c := range []struct {
		name string
		pac  func() string
		more []string
		code string // first finding; "" for a path that works
		text string
	}{
		{"DIRECT", answer("DIRECT"), nil, "", "DIRECT, by FindProxyForURL in "},
		{"allowed, over TLS", answer("HTTPS " + at[true]), []string{"--proxy-allow", at[true]}, "", "Basic accepted"},
		{"not allowed", answer("HTTPS " + at[true]), []string{"--auth", "auto"}, "auth.proxy-not-allowed", "--proxy-allow " + at[true]},
		{"allowed, Basic without TLS", answer("PROXY " + at[false]), []string{"--proxy-allow", "*", "--allow-basic-over-http"}, "auth.cleartext", "no flag lets Basic go there"},
		{"second", answer("PROXY localhost:1; HTTPS " + at[true]), []string{"--proxy-allow", "localhost"}, "find.first-unreachable", "with a reservation"},
		{"none of them", answer("PROXY localhost:1; PROXY localhost:2"), nil, "proxy.unreachable", "PROXY localhost:1, by"},
		{"SOCKS", answer("SOCKS localhost:1080"), nil, "find.socks-only", "SOCKS localhost:1080"},
		{"nonsense", answer("localhost:8080"), nil, "pac.nothing-usable", "line 2"},
		{"throws", file("\nhost.x.y;"), nil, "pac.script-error", "line 3"},
		{"loop", file("for (var i = 0; ; ) i++;"), []string{"--timeout", "500ms"}, "pac.stopped", "verdict: fails at find proxy"},
		{"page", place(server.URL + "/proxy.pac"), nil, "pac.not-javascript", "web page"},
		{"absent", place("/no/such.pac"), nil, "pac.not-fetched", "no such file"},
		{"too large", file(strings.Repeat(" ", 2<<20)), nil, "pac.too-large", "1048576"},
		{"DIRECT, nobody there", answer("DIRECT"), []string{"--turn", "turn:localhost:1?transport=tcp"}, "find.direct", "without one:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pac := c.pac()
			got := b.check(t, b.finding(append([]string{"--pac", pac}, c.more...)...))
			want := exitFail
			if c.code == "" || c.code == "find.first-unreachable" {
				want = exitOK
			}
			flat := strings.Join(strings.Fields(got.text), " ")
			if got.status != want || got.first() != c.code || !strings.Contains(flat, c.text) {
				t.Errorf("exit status %d, first finding %q; want %d, %q with %q\n%s", got.status, got.first(), want, c.code, c.text, got.text)
			}
			if got.Route == nil || c.code == "" && got.Route.Line != 2 || got.Stages[0].Name != "find proxy" {
				t.Errorf("route %+v, want one of line 2", got.Route)
			}
		})
	}
}

// The environment names the proxy, and without it there is none.
func TestCheckEnvironment(t *testing.T) {
	clearProxies(t)
	b := newCheckBench(t)
	got := b.check(t, b.finding())
	if got.status != exitOK || got.Proxy != "" || got.Direct != nil || !strings.Contains(got.text, "verdict: works: datagrams come back without a proxy") {
		t.Errorf("exit status %d, proxy %q, want 0 without one:\n%s", got.status, got.Proxy, got.text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	os.Setenv("HTTPS_PROXY", "http://"+b.lab.User.Name+":"+b.lab.User.Password+"@"+l.Addr().String()) // restored by clearProxies
	got = b.check(t, b.finding("--turn", "turn:turn.example.invalid:443?transport=tcp"))
	if got.status != exitFail || got.first() != "proxy.unreachable" || !strings.Contains(got.text, "PROXY "+l.Addr().String()+", by HTTPS_PROXY") {
		t.Errorf("exit status %d, first finding %q:\n%s", got.status, got.first(), got.text)
	}
}
