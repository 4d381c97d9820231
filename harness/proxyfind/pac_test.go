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
	"time"
)

const target = "turn.corp.example:443"

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy.pac")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func finder(pac string) *Finder {
	w := tableWorld()
	return &Finder{
		PAC: pac, Now: w.now, Addresses: func() []netip.Addr { return w.addresses }, Getenv: func(string) string { return "" },
		Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			if list := w.lookup(name); list != nil {
				return list, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		},
	}
}

// A script is asked in a process of its own, and says what it was asked and saw.
func TestPAC(t *testing.T) {
	path := writeFile(t, `// the company's
function FindProxyForURL(url, host) {
	alert("asked for", url, host);
	if (isInNet(host, "10.0.0.0", "255.0.0.0") && weekdayRange("THU") && timeRange(3) && myIpAddress() == "192.0.2.2" && new Date().getHours() == 3 && !isResolvable("absent.test"))
		return "PROXY proxy.corp.example:8080; HTTPS gate.corp.example; SOCKS5 old.corp.example; DIRECT; QUIC x:1";
	return "DIRECT";
}`)
	f := finder(path)
	got, err := f.Find(t.Context(), "Host.test:3478")
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != ByPAC || got.By != "FindProxyForURL in "+path || got.Line != 5 || got.Asked != "https://host.test:3478/" || got.Named() {
		t.Errorf("got %+v", got)
	}
	if want := "[PROXY proxy.corp.example:8080 HTTPS gate.corp.example:443 SOCKS old.corp.example:1080 DIRECT]"; fmt.Sprint(got.Ways) != want {
		t.Errorf("ways %v, want %s", got.Ways, want)
	}
	if want := "[PROXY proxy.corp.example:8080 HTTPS gate.corp.example:443 DIRECT]"; fmt.Sprint(got.Usable()) != want || fmt.Sprint(got.Ignored) != "[QUIC x:1]" {
		t.Errorf("usable %v, ignored %v", got.Usable(), got.Ignored)
	}
	if want := "[{host.test 10.1.2.3, 2001:db8::3 } {absent.test  no such host}]"; fmt.Sprint(got.Lookups) != want {
		t.Errorf("lookups %v, want %s", got.Lookups, want)
	}
	if want := "[asked for https://host.test:3478/ host.test]"; fmt.Sprint(got.Alerts) != want {
		t.Errorf("alerts %v, want %s", got.Alerts, want)
	}
}

// What Chromium asks for turns:HOST:443 has no port, for it is that of https.
func TestAskedURL(t *testing.T) {
	for _, c := range []struct{ host, port, want string }{
		{"turn.corp", "3478", "https://turn.corp:3478/"}, {"Turn.corp", "443", "https://turn.corp/"}, {"2001:db8::1", "5349", "https://[2001:db8::1]:5349/"},
	} {
		if got := askedURL(c.host, c.port); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.host, c.port, got, c.want)
		}
	}
}

func TestPACFailures(t *testing.T) {
	find := func(body string) string { return "function FindProxyForURL(url, host) {\n" + body + "\n}" }
	for _, c := range []struct {
		name, script string
		failure      Failure
		line         int
		text         string
	}{
		{"loop", find("for (var i = 0; ; ) i++;"), Stopped, 2, "it did not end within 300ms"},
		{"loop at once", "while (true) {}", Stopped, 1, "within 300ms"},
		{"loop within try", find("for (;;) { try { for (var i = 0; ; ) i++; } catch (e) {} }"), Stopped, 2, "within 300ms"},
		{"backtracking", find(`return /^(a+)+\1$/.test("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!") ? "DIRECT" : "DIRECT";`), Stopped, 0, "nor when it was interrupted"},
		{"memory", find("var a = [], s = 'x'; while (s.length < 1e5) s += s;\nfor (;;) a.push(s + a.length);"), Stopped, 3, "more than 64 MB"},
		{"one long string", find("var s = 'xxxxxxxxxxxxxxxx'; for (;;) s += s;"), Stopped, 0, "memory"},
		{"one long array", find("return new Array(300000000).fill(1.5).join();"), Stopped, 0, ""},
		{"recursion", find("return FindProxyForURL(url, host);"), ScriptError, 2, "endless recursion"},
		{"throws", find("\nnull.x;"), ScriptError, 3, "TypeError"},
		{"throws in a helper", find("\n\nisInNet(host);"), ScriptError, 4, "3 arguments are needed"},
		{"throws a string", find("throw 'no';"), ScriptError, 2, "no"},
		{"syntax", "function FindProxyForURL(url, host) {\n return 'DIRECT'\n", NotScript, 3, "Unexpected end"},
		{"page", "\n<!DOCTYPE html><html><title>Sign in</title>", NotScript, 1, "web page"},
		{"empty", "", ScriptError, 0, "no function FindProxyForURL"},
		{"other function", "function FindProxyForURLEx() {}", ScriptError, 0, "no function FindProxyForURL"},
		{"returns nothing", find(""), NothingToUse, 0, "returns undefined"},
		{"returns a number", find("return 1"), NothingToUse, 0, "returns 1"},
		{"returns nonsense", find("return 'PROXY'"), NothingToUse, 2, `says "PROXY"`},
		{"returns a URL", find("return 'http://proxy:8080'"), NothingToUse, 2, ""},
		{"SOCKS", find("return 'SOCKS5 a:1; SOCKS b:2'"), OnlySOCKS, 2, "SOCKS5 a:1"},
		{"2 MB", find("return 'DIRECT'") + strings.Repeat(" ", 2<<20), TooLarge, 0, "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := finder(writeFile(t, c.script))
			f.Timeout = 5 * time.Second
			if c.failure == Stopped && !strings.Contains(c.text, "MB") && c.text != "memory" {
				f.Timeout = 300 * time.Millisecond
			}
			start := time.Now()
			_, err := f.Find(t.Context(), target)
			var e *Error
			if !errors.As(err, &e) || e.Failure != c.failure || e.Line != c.line && c.line != 0 || !strings.Contains(err.Error(), c.text) || e.Where != f.PAC {
				t.Errorf("got %v (%+v), want %s at line %d with %q", err, e, c.failure, c.line, c.text)
			}
			t.Logf("%v after %v", err, time.Since(start).Round(time.Millisecond))
		})
	}
}

// A child that cannot run is no verdict on the script.
func TestNoChild(t *testing.T) {
	for name, command := range map[string][]string{"absent": {"/no/such/program"}, "silent": {"true"}, "talks": {"echo", "hello"}} {
		f := finder(writeFile(t, "x"))
		f.Command = command
		_, err := f.Find(t.Context(), target)
		var e *Error
		if !errors.As(err, &e) || e.Failure != NoChild {
			t.Errorf("%s: got %v, want %s", name, err, NoChild)
		}
	}
}

// The end of the context ends a script.
func TestPACCanceled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := finder(writeFile(t, "for (;;);")).Find(ctx, target)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's end", err)
	}
}

// A script cannot ask for names without end, nor for what is no name.
func TestLookupsAreBounded(t *testing.T) {
	f := finder(writeFile(t, `function FindProxyForURL(url, host) {
	isResolvable("a b"); isResolvable("x/y");
	for (var i = 0; i < 100; i++) isResolvable("name" + i + ".test");
	return "DIRECT";
}`))
	got, err := f.Find(t.Context(), target)
	if err != nil || len(got.Lookups) != maxLookups || got.Lookups[0].Name != "name0.test" {
		t.Errorf("%d lookups, %v; want %d", len(got.Lookups), err, maxLookups)
	}
}

// A web server's PAC file, whatever its type; what is none; what is too much.
func TestFetch(t *testing.T) {
	mux := http.NewServeMux()
	serve := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(text))
		})
	}
	serve("/proxy.pac", "\xef\xbb\xbffunction FindProxyForURL() { return 'PROXY p.corp.example:8080' } // \xe4")
	serve("/large", strings.Repeat("/", 2<<20))
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/proxy.pac", http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	release := make(chan struct{})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-release })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)
	for _, c := range []struct {
		place   string
		failure Failure
		text    string
	}{
		{server.URL + "/proxy.pac", "", ""}, {server.URL + "/moved", "", ""},
		{server.URL + "/absent", Unfetchable, "404 Not Found"}, {server.URL + "/large", TooLarge, "1048576"},
		{server.URL + "/round", Unfetchable, "redirects"}, {server.URL + "/slow", Unfetchable, "deadline"},
		{"http://127.0.0.1:1/proxy.pac", Unfetchable, "connection refused"}, {"ftp://corp/proxy.pac", Unfetchable, "not of ftp"},
		{"/no/such/file", Unfetchable, "no such file"}, {"file:///no/such/file", Unfetchable, "no such file"}, {"/dev/zero", Unfetchable, "not a regular file"},
	} {
		f := finder(c.place)
		if strings.HasSuffix(c.place, "slow") {
			f.Timeout = 100 * time.Millisecond
		}
		got, err := f.Find(t.Context(), target)
		var e *Error
		switch {
		case c.failure == "" && (err != nil || got.Ways[0].String() != "PROXY p.corp.example:8080"):
			t.Errorf("%s: got %v, %v", c.place, got.Ways, err)
		case c.failure != "" && (!errors.As(err, &e) || e.Failure != c.failure || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: got %v, want %s, %q", c.place, err, c.failure, c.text)
		}
	}
}
