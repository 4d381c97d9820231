package testproxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// No byte behind a head is lost, and what was understood is understood the same when written again.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		connectHead("1.1", "turn.example.test:443", "Proxy-Authorization: Basic YTpi", "Proxy-Connection: Keep-Alive") + "\x16\x03\x01",
		connectHead("1.0", "[2001:db8::1]:3478") + "early bytes\r\n\r\n",
		"\r\n\r\nCONNECT a:1 HTTP/1.1\nHost:a\nX:\t b \t\n\n\n",
		connectHead("1.1", "a:1", " folded", "Host: b"),
		connectHead("1.1", "a:1", "Content-Length: 5") + "hello",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"",
	} {
		f.Add([]byte(seed))
	}
	const limit = 300
	f.Fuzz(func(t *testing.T, in []byte) {
		br := bufio.NewReaderSize(bytes.NewReader(in), 16)
		head, err := readHead(br, limit)
		if len(head) > limit {
			t.Fatalf("a head of %d bytes, limit %d", len(head), limit)
		}
		if err != nil {
			return
		}
		if rest, _ := io.ReadAll(br); !bytes.HasSuffix(in, slices.Concat(head, rest)) {
			t.Fatalf("head %q and rest %q of %q", head, rest, in)
		}
		req, err := parseRequest(head)
		if err != nil {
			if !errors.As(err, new(*badRequest)) {
				t.Fatalf("error %v has no status", err)
			}
			return
		}
		again, err := parseRequest([]byte(rewrite(req)))
		if err != nil || again.method != req.method || again.target != req.target || again.minor != req.minor ||
			!maps.EqualFunc(again.header, req.header, slices.Equal) || again.keepAlive() != req.keepAlive() {
			t.Fatalf("%q reads %+v; written again %+v (%v)", head, req, again, err)
		}
		checkTarget(t, req.target)
	})
}

func rewrite(req *request) string {
	var b strings.Builder
	b.WriteString(req.method + " " + req.target + " HTTP/1." + strconv.Itoa(req.minor) + "\r\n")
	for name, values := range req.header {
		for _, value := range values {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

func checkTarget(t *testing.T, target string) {
	host, port, err := parseTarget(target)
	if err != nil {
		return
	}
	again, samePort, err := parseTarget(net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil || host != again || port != samePort || port < 1 || port > 65535 {
		t.Fatalf("target %q reads %q and %d; written again %q and %d (%v)", target, host, port, again, samePort, err)
	}
}

// Nothing but the right credentials is accepted, and what is wrong with the others does not repeat
// them.
func FuzzAuthorization(f *testing.F) {
	digest := Digest(DigestConfig{Realm: "r", Users: []string{"alice"}, Password: func(string) (string, bool) { return "x", true }})
	p := &Proxy{Schemes: []Scheme{Basic("r", func(user, password string) bool { return false }), digest, legs()}}
	p.capacity = newCapacity(p.Limits)
	f.Add("Basic YWxpY2U6cGFzc3dvcmQ=")
	f.Add("basic  YWxpY2U=")
	f.Add(strings.TrimPrefix(type1, "Proxy-Authorization: "))
	f.Add("Digest " + digestCredentials(f, digest.offer(), nil))
	f.Add("Digest " + digestCredentials(f, digest.offer(), map[string]string{"username": "", "username*": "UTF-8''%c3%a4lice"}))
	f.Add("Digest " + digestCredentials(f, digest.offer(), map[string]string{"userhash": "true", "response": "0"}))
	f.Add(`Digest username="a, realm=`)
	f.Fuzz(func(t *testing.T, field string) {
		c := &conn{p: p, tcp: addressOnly{}}
		x := &exchange{c: c, req: &request{method: "CONNECT", target: "a:1", header: map[string][]string{"Proxy-Authorization": {field}}}}
		for range 2 {
			v := x.judge()
			if v.accepted {
				t.Fatalf("%q is accepted as %q", field, v.user)
			}
			_, credentials := cutCredentials(field)
			if v.err != nil && len(credentials) > 30 && strings.Contains(v.err.Error(), credentials) {
				t.Fatalf("error %q repeats the credentials", v.err)
			}
		}
	})
}

type addressOnly struct{ net.Conn }

func (addressOnly) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func FuzzParams(f *testing.F) {
	f.Add(`realm="a \"b\" c", nonce=abc, qop="auth,auth-int" , , uri = "a:1"`)
	f.Add(`username*=UTF-8''J%C3%A4s, algorithm=SHA-256-sess`)
	f.Add(`a="\`)
	f.Fuzz(func(t *testing.T, in string) {
		params, err := parseParams(in)
		if err != nil {
			return
		}
		var fields []string
		for name, value := range params {
			fields = append(fields, name+"="+quote(value))
		}
		again, err := parseParams(strings.Join(fields, ","))
		if err != nil || !maps.Equal(params, again) {
			t.Fatalf("%q reads %q; written again %q (%v)", in, params, again, err)
		}
	})
}

func FuzzSPNEGO(f *testing.F) {
	seed, err := wrapSPNEGO([]byte("NTLMSSP\x00\x02"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:10])
	f.Fuzz(func(t *testing.T, der []byte) {
		token, err := unwrapSPNEGO(der)
		if err != nil {
			return
		}
		wrapped, err := wrapSPNEGO(token)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := unwrapSPNEGO(wrapped); err != nil || !bytes.Equal(again, token) {
			t.Fatalf("token %x comes back as %x (%v)", token, again, err)
		}
	})
}
