package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/lab"
)

// clearProxies hides the machine's own settings from a test.
func clearProxies(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "TURNGATE_PROXY"} {
		t.Setenv(name, "")
	}
}

func pacFile(t *testing.T, answer string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy.pac")
	text := fmt.Sprintf("function FindProxyForURL(url, host) {\n\treturn %q;\n}\n", answer)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// echo is a server that greets with a line and then repeats what comes.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "hello")
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// connect finds its proxy as a browser would, and sends credentials only where they may go.
func TestConnectFinds(t *testing.T) {
	clearProxies(t)
	target := echo(t)
	l, proxy := labProxy(t, lab.SchemeBasic)
	at := strings.TrimPrefix(proxy.URL, "http://")
	user := []string{"--proxy-user", l.User.Name, "--proxy-password-file", writeSecret(t, l.User.Password)}
	netrc := writeSecret(t, fmt.Sprintf("machine localhost\nlogin %s\npassword %s", l.User.Name, l.User.Password))
	for _, c := range []struct {
		name   string
		args   []string
		status int
		text   string
	}{
		{"PAC: DIRECT", []string{"--pac", pacFile(t, "DIRECT")}, exitOK, "hello"},
		{"PAC, not allowed", append(user, "--auth", "basic", "--pac", pacFile(t, "PROXY "+at)), exitFail, "--proxy-allow " + at},
		{"PAC, another allowed", append(user, "--auth", "basic", "--proxy-allow", "localhost:1", "--pac", pacFile(t, "PROXY "+at)), exitFail, "--proxy-allow " + at},
		{"PAC, Basic without TLS", append(user, "--auth", "basic", "--allow-basic-over-http", "--proxy-allow", "localhost", "--pac", pacFile(t, "PROXY "+at)), exitFail, "in the clear only to a proxy that --proxy"},
		{"PAC, the first is not there", []string{"--pac", pacFile(t, "PROXY localhost:1; DIRECT")}, exitOK, "hello"},
		{"PAC, SOCKS", []string{"--pac", pacFile(t, "SOCKS localhost:1")}, exitFail, "SOCKS"},
		{"PAC, absent", []string{"--pac", "/no/such/file"}, exitFail, "no such file"},
		{"flag, netrc", []string{"--proxy", proxy.URL, "--auth", "basic", "--netrc", netrc}, exitOK, "hello"},
		{"flag, wrong", []string{"--proxy", "socks5://localhost:1"}, exitUsage, "want http://"},
		{"flag and PAC", []string{"--proxy", proxy.URL, "--pac", "x"}, exitUsage, "--pac and --wpad are for finding one"},
		{"PAC and WPAD", []string{"--wpad", "--pac", "x"}, exitUsage, "want one of them"},
		{"allow nonsense", []string{"--pac", "x", "--proxy-allow", "http://x"}, exitUsage, "--proxy-allow"},
		{"netrc, absent", []string{"--proxy", proxy.URL, "--netrc", "/no/such/file"}, exitUsage, "--netrc"},
		{"nothing", nil, exitOK, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			status := run(t.Context(), append(append([]string{"connect"}, c.args...), target), stdio{strings.NewReader(""), &out, &out})
			if status != c.status || !strings.Contains(out.String(), c.text) {
				t.Errorf("exit status %d, want %d with %q:\n%s", status, c.status, c.text, out.String())
			}
			if strings.Contains(out.String(), l.User.Password) {
				t.Errorf("the output shows the password:\n%s", out.String())
			}
		})
	}
}

// The proxy that the environment names is asked, with the user and password that stand there.
func TestConnectEnvironment(t *testing.T) {
	clearProxies(t)
	var got string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		if r.Header.Get("Proxy-Authorization") == "" {
			w.Header().Set("Proxy-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		conn, rw, _ := w.(http.Hijacker).Hijack()
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 200 OK\r\n\r\nhello")
		rw.Flush()
		bufio.NewReader(conn).ReadString(0)
	}))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", strings.Replace(proxy.URL, "//", "//alice:s3cret@", 1))
	var out bytes.Buffer
	args := []string{"connect", "--auth", "basic", "turn.corp.example:443"}
	if status := run(t.Context(), args, stdio{strings.NewReader(""), &out, &out}); status != exitOK || out.String() != "hello" {
		t.Errorf("exit status %d:\n%s", status, out.String())
	}
	if want := "CONNECT turn.corp.example:443 Basic YWxpY2U6czNjcmV0"; got != want {
		t.Errorf("the proxy got %q, want %q", got, want)
	}
	t.Setenv("HTTPS_PROXY", "http://alice:s3cret@")
	out.Reset()
	if status := run(t.Context(), args, stdio{strings.NewReader(""), &out, &out}); status != exitUsage || !strings.Contains(out.String(), "HTTPS_PROXY") || strings.Contains(out.String(), "s3cret") {
		t.Errorf("exit status %d:\n%s", status, out.String())
	}
}

func writeSecret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
