package proxyfind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	type env = map[string]string
	for _, c := range []struct {
		env    env
		target string
		way    string // "" for an error
		by     string // part of it, or of the error
	}{
		{env{}, "t.corp:443", "DIRECT", "no --proxy"},
		{env{"HTTPS_PROXY": "http://p.corp:3128"}, "t.corp:443", "PROXY p.corp:3128", "HTTPS_PROXY"},
		{env{"https_proxy": "p.corp:3128"}, "t.corp:443", "PROXY p.corp:3128", "https_proxy"},
		{env{"HTTPS_PROXY": "https://p.corp/"}, "t.corp:443", "HTTPS p.corp:443", "HTTPS_PROXY"},
		{env{"ALL_PROXY": "http://p.corp"}, "t.corp:443", "PROXY p.corp:80", "ALL_PROXY"},
		{env{"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:2"}, "t.corp:443", "PROXY a:1", "HTTPS_PROXY"},
		{env{"HTTP_PROXY": "http://p.corp"}, "t.corp:443", "DIRECT", "no --proxy"},
		{env{"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x.corp,.corp"}, "t.corp:443", "DIRECT", "NO_PROXY, which excepts t.corp from HTTPS_PROXY"},
		{env{"HTTPS_PROXY": "http://p:1", "no_proxy": "t.corp:3478"}, "t.corp:443", "PROXY p:1", "HTTPS_PROXY"},
		{env{"HTTPS_PROXY": "http://p:1", "no_proxy": "t.corp:3478"}, "t.corp:3478", "DIRECT", "no_proxy"},
		{env{"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "10.1.2.3:443", "DIRECT", "NO_PROXY"},
		{env{"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "t.corp:443", "DIRECT", "NO_PROXY"},
		{env{"HTTPS_PROXY": "http://p:1"}, "localhost:443", "DIRECT", "not for localhost"},
		{env{"HTTPS_PROXY": "http://p:1"}, "[::1]:443", "DIRECT", "not for localhost"},
		{env{"HTTPS_PROXY": "socks5h://p.corp"}, "t.corp:443", "", "HTTPS_PROXY: it names SOCKS p.corp:1080"},
		{env{"HTTPS_PROXY": "ftp://p.corp"}, "t.corp:443", "", "HTTPS_PROXY: want the URL of a proxy"},
		{env{"HTTPS_PROXY": "http://u:s3cret@p.corp:x"}, "t.corp:443", "", "HTTPS_PROXY: want the URL of a proxy"},
		{env{"HTTPS_PROXY": "http://u:s3cret@"}, "t.corp:443", "", "HTTPS_PROXY: want the URL of a proxy"},
	} {
		f := Finder{Getenv: func(name string) string { return c.env[name] }}
		got, err := f.Find(t.Context(), c.target)
		switch {
		case c.way == "" && (err == nil || !strings.Contains(err.Error(), c.by) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%v: got %v, want %q", c.env, err, c.by)
		case c.way != "" && (err != nil || fmt.Sprint(got.Ways) != "["+c.way+"]" || !strings.Contains(got.By, c.by)):
			t.Errorf("%v, %s: got %v by %q, %v; want %s by %q", c.env, c.target, got.Ways, got.By, err, c.way, c.by)
		}
	}
	f := Finder{Getenv: func(string) string { return "http://alice:s3cret@p.corp:1" }}
	got, err := f.Find(t.Context(), "t.corp:443")
	if err != nil || got.User != "alice" || string(got.Password) != "s3cret" || strings.Contains(fmt.Sprintf("%+v %v", got, got.Ways), "s3cret") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFlagIsFirst(t *testing.T) {
	f := Finder{Proxy: "https://p.corp:8080", PAC: "/no/such/file", WPAD: true}
	if got, err := f.Find(t.Context(), "t.corp:443"); err != nil || fmt.Sprint(got.Ways) != "[HTTPS p.corp:8080]" || got.Source != ByFlag || !got.Named() {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := f.Find(t.Context(), "t.corp"); err == nil {
		t.Error("a target without a port was taken")
	}
}

func TestWPADNames(t *testing.T) {
	for _, c := range []struct{ conf, want string }{
		{"search a.b.corp.example.com\nnameserver 127.0.0.1", "wpad.a.b.corp.example.com wpad.b.corp.example.com wpad.corp.example.com wpad.example.com"},
		{"search x.example.co.uk example.co.uk", "wpad.x.example.co.uk wpad.example.co.uk"},
		{"domain old.example.com\nsearch a.example.com b.example.com.", "wpad.a.example.com wpad.example.com wpad.b.example.com"},
		{"search corp.internal", "wpad.corp.internal"},
		{"search corp co.uk com", ""},
		{"nameserver 127.0.0.1", ""},
		{"search 10.0.0.1 a/b", ""},
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(c.conf), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := wpadNames(path)
		if strings.Join(got, " ") != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v, want %q", c.conf, got, err, c.want)
		}
	}
}

// The first name that leads to a script decides; what was passed over is told. The name's server is
// this machine's, at the port of the test.
func TestWPAD(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/wpad.dat" || strings.HasPrefix(r.Host, "wpad.b.") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "function FindProxyForURL() { return 'PROXY p.corp.example:8080' }")
	}))
	defer server.Close()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	defer transport.CloseIdleConnections()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("search a.b.example.com"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := finder("")
	f.WPAD, f.ResolvConf, f.transport = true, conf, transport
	lookup := func(_ context.Context, name string) ([]netip.Addr, error) {
		if strings.HasPrefix(name, "wpad.a.") {
			return nil, &net.DNSError{Err: "no such host", Name: name}
		}
		return addresses("127.0.0.1"), nil
	}
	f.Lookup = lookup
	got, err := f.Find(t.Context(), target)
	if err != nil || got.Source != ByWPAD || got.By != "FindProxyForURL in http://wpad.example.com/wpad.dat" || got.Named() {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := "[wpad.a.b.example.com: no such host http://wpad.b.example.com/wpad.dat: the server answers 404 Not Found]"; fmt.Sprint(got.Passed) != want {
		t.Errorf("passed %v, want %s", got.Passed, want)
	}
	f.Lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: name}
	}
	var e *Error
	if _, err := f.Find(t.Context(), target); !errors.As(err, &e) || e.Failure != NoWPAD || !strings.Contains(err.Error(), "wpad.example.com: no such host") {
		t.Errorf("got %v, want %s with the names", err, NoWPAD)
	}
}

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		allow, way string
		want       bool
	}{
		{"p.corp", "PROXY p.corp:8080", true}, {"P.corp", "PROXY p.CORP.:8080", true}, {"p.corp:8080", "PROXY p.corp:8080", true},
		{"p.corp:3128", "PROXY p.corp:8080", false}, {".corp", "PROXY p.corp:8080", true}, {".corp", "PROXY corp:8080", false},
		{".corp:8080", "HTTPS a.b.corp:8080", true}, {"corp", "PROXY p.corp:8080", false}, {"*", "PROXY x:1", true}, {"*:443", "HTTPS x", true},
		{"*:443", "PROXY x:1", false}, {"10.0.0.1", "PROXY 10.0.0.1:1", true}, {"[::1]:1", "PROXY [::1]:1", true}, {"::1", "PROXY [::1]:1", true},
		{"a,p.corp", "PROXY p.corp:1", true}, {"", "PROXY p.corp:1", false},
	} {
		way, ok := parseWay(c.way)
		if !ok {
			t.Fatalf("%s is no directive", c.way)
		}
		var allow Allow
		if c.allow != "" {
			allow = strings.Split(c.allow, ",")
		}
		if err := allow.Validate(); err != nil {
			t.Error(err)
		}
		if got := allow.Permits(way); got != c.want {
			t.Errorf("%s, %s: %v, want %v", c.allow, c.way, got, c.want)
		}
	}
	for _, wrong := range []string{"", "http://p.corp", "p.corp:x", "p.corp:0", "*.corp", "a b", ".", "p.corp:99999"} {
		if err := (Allow{wrong}).Validate(); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	way := Way{Proxy, "p.corp", "8080"}
	for source, want := range map[Source]bool{ByFlag: true, ByEnvironment: true, ByPAC: false, ByWPAD: false, ByNothing: false} {
		if got := (Found{Source: source}).Trusts(way, nil); got != want {
			t.Errorf("a proxy by %s is trusted: %v, want %v", source, got, want)
		}
		if !(Found{Source: source}).Trusts(way, Allow{"p.corp"}) {
			t.Errorf("a proxy by %s that is allowed is not trusted", source)
		}
	}
}

func TestDirectives(t *testing.T) {
	for _, c := range []struct{ answer, ways, ignored string }{
		{"DIRECT", "[DIRECT]", "[]"},
		{" proxy p:8080 ;direct;", "[PROXY p:8080 DIRECT]", "[]"},
		{"PROXY p; HTTPS p; SOCKS p; SOCKS4 p; SOCKS5 p:1; HTTP p:8080", "[PROXY p:80 HTTPS p:443 SOCKS p:1080 SOCKS p:1080 SOCKS p:1 PROXY p:8080]", "[]"},
		{"PROXY\tp:1", "[PROXY p:1]", "[]"},
		{"PROXY [2001:db8::1]:8080; PROXY [::1]", "[PROXY [2001:db8::1]:8080 PROXY [::1]:80]", "[]"},
		{"PROXY p:0; PROXY p:65536; PROXY p:http; PROXY u@p:1; PROXY p/x; PROXY http://p:1; PROXY", "[]",
			"[PROXY p:0 PROXY p:65536 PROXY p:http PROXY u@p:1 PROXY p/x PROXY http://p:1 PROXY]"},
		{"QUIC p:443; DIRECT now", "[]", "[QUIC p:443 DIRECT now]"},
		{"", "[]", "[]"},
		{strings.Repeat("DIRECT;", 99), "[" + strings.TrimSpace(strings.Repeat("DIRECT ", maxWays)) + "]", "[]"},
	} {
		ways, ignored := parseWays(c.answer)
		if fmt.Sprint(ways) != c.ways || fmt.Sprint(ignored) != c.ignored {
			t.Errorf("%.60q: got %v, ignored %v; want %s, %s", c.answer, ways, ignored, c.ways, c.ignored)
		}
	}
}
