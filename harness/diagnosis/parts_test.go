package diagnosis

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestParseTURN(t *testing.T) {
	for _, c := range []struct {
		text, address string
		secure        bool
		err           string // part of it; "" for none
	}{
		{"turns:turn.corp:443?transport=tcp", "turn.corp:443", true, ""},
		{"turns:turn.corp", "turn.corp:5349", true, ""},
		{"turn:turn.corp?transport=tcp", "turn.corp:3478", false, ""},
		{"turns:[2001:db8::1]:443", "[2001:db8::1]:443", true, ""},
		{"turn:turn.corp", "", false, "tcp only"},
		{"turns:turn.corp?transport=udp", "", false, "tcp only"},
		{"stun:turn.corp", "", false, "want turn:"},
		{"turn.corp:443", "", false, "want turn:"},
		{"turns://turn.corp", "", false, "want turn:"},
		{"turns:", "", false, "want turn:"},
		{"turns:user@turn.corp", "", false, "want HOST"},
		{"turns:turn.corp:port", "", false, "want HOST"},
	} {
		got, err := ParseTURN(c.text)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.text, err, c.err)
		} else if err == nil && (got.Address != c.address || got.Secure != c.secure) {
			t.Errorf("%s: got %+v, want %s, %v", c.text, got, c.address, c.secure)
		}
	}
}

func TestRecognise(t *testing.T) {
	for _, c := range []struct{ field, value, want string }{
		{"X-Squid-Error", "ERR_ACCESS_DENIED 0", "Squid"}, {"Via", "1.1 gw (squid/6.1)", "Squid"}, {"Server", "squid/5.7", "Squid"},
		{"Proxy-Agent", "Apache/2.4.62 (Debian)", "Apache"}, {"Server", "tinyproxy/1.11.1", "tinyproxy"}, {"Server", "Zscaler/6.2", "Zscaler"},
		{"Server", "in-house", ""}, {"X-Other", "squid", ""},
	} {
		h := make(http.Header)
		h.Set(c.field, c.value)
		if got, evidence := recognise(h); got != c.want || c.want != "" && !strings.Contains(evidence, c.value) {
			t.Errorf("%s: %s: got %q by %q, want %q", c.field, c.value, got, evidence, c.want)
		}
	}
	if got := clip(strings.Repeat("x", 500) + "\n"); len(got) != maxEvidence {
		t.Errorf("%d bytes of a peer's text, want %d", len(got), maxEvidence)
	}
	if got := clip("a\x1b[31mb\r\nc"); got != "a[31mbc" {
		t.Errorf("got %q, want no control characters", got)
	}
}

func TestFirstBytes(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  FirstBytes
	}{
		{"", ""}, {"\x16\x03\x03\x00\x10", BytesTLS}, {"\x15\x03", BytesTLS}, {"\x01\x01\x00\x00\x21\x12\xa4\x42", BytesSTUN},
		{"\x01\x01\x00\x00\x00\x00\x00\x00", BytesElse}, {"<!DOCTYPE html>", BytesHTML}, {"\n<HTML>", BytesHTML}, {"HTTP/1.1 400", BytesHTTP},
		{"SSH-2.0", BytesElse}, {"\x16", BytesTLS}, {"\x00", BytesElse},
	} {
		conn := &observedConn{Conn: readConn{r: bytes.NewReader([]byte(c.bytes))}}
		io.ReadAll(conn)
		if got := conn.class(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.bytes, got, c.want)
		}
	}
}

// A readConn is a connection of which only Read is used.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestProxyAddress(t *testing.T) {
	for _, c := range []struct {
		text, host, port string
		secure           bool
	}{
		{"http://p.corp:3128", "p.corp", "3128", false}, {"https://p.corp", "p.corp", "443", true}, {"http://p.corp/", "p.corp", "80", false},
		{"p.corp:8080", "p.corp", "8080", false}, {"10.0.0.1:8080", "10.0.0.1", "8080", false}, {"http://[::1]:8080", "::1", "8080", false},
	} {
		if host, port, secure := proxyAddress(c.text); host != c.host || port != c.port || secure != c.secure {
			t.Errorf("%s: got %s %s %v, want %s %s %v", c.text, host, port, secure, c.host, c.port, c.secure)
		}
	}
}

// Whatever a peer sends, the report's text of it is one short printable line.
func FuzzPeerText(f *testing.F) {
	for _, seed := range []string{"", "squid/5.7", "\x16\x03\x01", "<html>", "\x1b]0;title\x07", strings.Repeat("é", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{"Server": {text}, "Via": {text}, "X-Squid-Error": {text}}
		_, evidence := recognise(h)
		if got := strings.TrimPrefix(evidence, "X-Squid-Error: "); len(got) > maxEvidence || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q becomes %q", text, got)
		}
		conn := &observedConn{Conn: readConn{r: strings.NewReader(text)}}
		io.ReadAll(conn)
		if conn.class() == "" && text != "" || len(conn.first) > firstBytes {
			t.Errorf("%q has no class, or too much of it is kept", text)
		}
	})
}

func TestParsePin(t *testing.T) {
	digits := strings.Repeat("0a", 32)
	colons := strings.TrimSuffix(strings.Repeat("0A:", 32), ":")
	for text, want := range map[string]string{
		"sha256:" + digits: "sha256:" + digits, digits: "sha256:" + digits, "sha256:" + colons: "sha256:" + digits,
		"sha256/CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo=": "sha256:" + digits,
		"": "", "sha256:0a": "", "sha256/0a": "", "sha1:" + digits: "", digits + "0a": "",
	} {
		got, err := ParsePin(text)
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}
