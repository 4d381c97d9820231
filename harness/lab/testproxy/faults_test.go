package testproxy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// legs stands in for NTLM: two tokens of the client, one of ours between them.
func legs() Scheme {
	return Scheme{Name: "NTLM", ConnectionBound: true, New: func(ConnInfo) Handshake { return new(twoLegs) }}
}

type twoLegs struct{ challenged bool }

const (
	type1 = "Proxy-Authorization: NTLM TlRMTVNTUAAB"
	type2 = "TlRMTVNTUAAC"
	type3 = "Proxy-Authorization: NTLM TlRMTVNTUAAD"
	bad3  = "Proxy-Authorization: NTLM TlRMTVNTUAAE"
)

func (h *twoLegs) Accept(credentials string) (challenge, user string, err error) {
	switch {
	case !h.challenged && credentials == "TlRMTVNTUAAB":
		h.challenged = true
		return type2, "", nil
	case h.challenged && credentials == "TlRMTVNTUAAD":
		return "", "alice", nil
	}
	return "", "bob", errors.New("not the token of this leg")
}

// faultTests has a test for every name of the table; what the test of a name does not check is that
// the proxy works without it, which is the matter of the other files.
var faultTests = map[string]func(t *testing.T){
	"403":       func(t *testing.T) { statusInstead(t, "403", 403, "a.example.test:443") },
	"511":       func(t *testing.T) { statusInstead(t, "511", 511, "a.example.test:443") },
	"503":       func(t *testing.T) { statusInstead(t, "503", 503, "a.example.test:443") },
	"ssl-ports": testSSLPorts,
	"403.ip-target": func(t *testing.T) {
		statusInstead(t, "403.ip-target", 403, "127.0.0.1:443")
		statusInstead(t, "403.ip-target", 403, "[::1]:443")
		statusInstead(t, "403.ip-target", 407, "a.example.test:443")
	},
	"403.no-user-agent": func(t *testing.T) {
		statusInstead(t, "403.no-user-agent", 403, "a.example.test:443")
		statusInstead(t, "403.no-user-agent", 407, "a.example.test:443", "User-Agent: test")
	},
	"403.alpn": func(t *testing.T) {
		statusInstead(t, "403.alpn", 407, "a.example.test:443")
		statusInstead(t, "403.alpn", 403, "a.example.test:443", "ALPN: webrtc,c-webrtc")
	},
	"431": func(t *testing.T) {
		statusInstead(t, "431=500", 407, "a.example.test:443", "X: "+strings.Repeat("a", 300))
		statusInstead(t, "431=500", 431, "a.example.test:443", "X: "+strings.Repeat("a", 500))
	},
	"302": func(t *testing.T) {
		if resp := statusInstead(t, "302", 302, "a.example.test:443"); resp.Header.Get("Location") == "" {
			t.Error("no Location")
		}
	},
	"200.login-page":     testLoginPage,
	"407.forever":        testForever,
	"eof":                func(t *testing.T) { faultyClient(t, "eof").eof() },
	"eof.on-credentials": testEOFOnCredentials,
	"garbage": func(t *testing.T) {
		if got, err := io.ReadAll(faultyClient(t, "garbage").br); err != nil || len(got) == 0 || bytes.HasPrefix(got, []byte("HTTP")) {
			t.Errorf("got %q (%v), want bytes that are not HTTP", got, err)
		}
	},
	"hang": func(t *testing.T) {
		begin := time.Now()
		faultyClient(t, "hang=150ms").eof()
		waited(t, begin, 150*time.Millisecond)
	},

	"407.close": func(t *testing.T) {
		if c, head := faulty407(t, "407.close"); !strings.Contains(head, "\r\nConnection: close\r\n") {
			t.Errorf("no close in %q", head)
		} else {
			endOfPage(t, c)
		}
	},
	"407.silent-close": func(t *testing.T) {
		if c, head := faulty407(t, "407.silent-close"); !strings.Contains(head, "\r\nConnection: keep-alive\r\n") {
			t.Errorf("no keep-alive in %q", head)
		} else {
			endOfPage(t, c)
		}
	},
	"407.http10": func(t *testing.T) {
		if c, head := faulty407(t, "407.http10"); !strings.HasPrefix(head, "HTTP/1.0 407 ") {
			t.Errorf("head %q, want HTTP/1.0", head)
		} else {
			endOfPage(t, c)
		}
	},
	"407.slow": func(t *testing.T) {
		begin := time.Now()
		faultyClient(t, "407.slow=150ms").expect(407)
		waited(t, begin, 150*time.Millisecond)
	},
	"407.chunked": func(t *testing.T) {
		c := faultyClient(t, "407.chunked")
		resp := c.expect(407)
		body, _ := io.ReadAll(resp.Body)
		if !slices.Equal(resp.TransferEncoding, []string{"chunked"}) || len(body) < 1000 || resp.Trailer.Get("X-Trailer") == "" {
			t.Errorf("encoding %v, %d bytes, trailer %v", resp.TransferEncoding, len(body), resp.Trailer)
		}
		c.connect("a.example.test:443")
		c.expect(407)
		old := dialRaw(t, start(t, refusing("407.chunked")))
		old.write(connectHead("1.0", "a.example.test:443", "Connection: keep-alive"))
		if resp := old.expect(407); len(resp.TransferEncoding) > 0 || !resp.Close {
			t.Error("HTTP/1.0 got chunks")
		}
	},
	"407.no-length": func(t *testing.T) {
		if c, head := faulty407(t, "407.no-length"); strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") {
			t.Errorf("head %q, want no length", head)
		} else {
			endOfPage(t, c)
		}
	},
	"407.huge-body": func(t *testing.T) {
		resp := faultyClient(t, "407.huge-body=3000000").expect(407)
		if n, err := io.Copy(io.Discard, resp.Body); n != 3000000 {
			t.Errorf("%d bytes (%v), want 3000000", n, err)
		}
	},
	"407.one-field": func(t *testing.T) {
		_, head := faulty407(t, "407.one-field")
		if want := "\r\npRoXy-aUtHeNtIcAtE: bAsIc realm=\"lab\", charset=\"UTF-8\" , nTlM\r\n"; !strings.Contains(head, want) {
			t.Errorf("head %q, want %q", head, want)
		}
	},
	"407.no-scheme": func(t *testing.T) {
		if _, head := faulty407(t, "407.no-scheme"); strings.Contains(strings.ToLower(head), "authenticate:") {
			t.Errorf("head %q, want no challenge", head)
		}
	},
	"401": func(t *testing.T) {
		faultyClient(t, "401").expect(407)
		c := faultyClient(t, "401", basicLine("alice", "wrong"))
		if resp := c.expect(401); len(resp.Header.Values("Proxy-Authenticate"))+len(resp.Header.Values("WWW-Authenticate")) != 0 {
			t.Errorf("a challenge in %v", resp.Header)
		}
		c.eof()
	},

	"ntlm.close-between-legs": func(t *testing.T) {
		faultyClient(t, "ntlm.close-between-legs").expect(407)
		c := faultyClient(t, "ntlm.close-between-legs", type1)
		if resp := c.expect(407); resp.Close || resp.Header.Get("Proxy-Authenticate") != "NTLM "+type2 {
			t.Errorf("close %v, challenge %q; want the challenge, and a lie", resp.Close, resp.Header.Get("Proxy-Authenticate"))
		}
		c.eof()
	},
	"ntlm.forget": func(t *testing.T) {
		c := faultyClient(t, "ntlm.forget", type1)
		c.expect(407)
		c.connect("a.example.test:443", type3)
		wantOffers(t, c.expect(407))
	},
	"ntlm.200-after-type1": func(t *testing.T) { tunnelAfter(t, "ntlm.200-after-type1", type1) },
	"ntlm.spnego":          testSPNEGO,
	"407.endless": func(t *testing.T) {
		c := faultyClient(t, "407.endless", type1)
		for range 5 {
			if got := c.expect(407).Header.Get("Proxy-Authenticate"); got != "NTLM "+type2 {
				t.Fatalf("challenge %q, want the first again", got)
			}
			c.connect("a.example.test:443", type3)
		}
	},
	"digest.stale": testStaleDigest,
	"auth.slow": func(t *testing.T) {
		begin := time.Now()
		faultyClient(t, "auth.slow=150ms", basicLine("alice", "wrong")).expect(407)
		waited(t, begin, 150*time.Millisecond)
	},
	"403.after-auth": func(t *testing.T) {
		p := start(t, refusing("403.after-auth"))
		c := dialRaw(t, p)
		c.connect(echoTarget(t))
		c.expect(407)
		c.connect(echoTarget(t), basicLine("alice", "pässword"))
		c.expect(403)
		c.eof()
		if got := p.Attempts()[Account{"Basic", "alice"}]; got.Accepted != 1 {
			t.Errorf("attempts %+v, want one accepted", got)
		}
	},

	"200.content-length": func(t *testing.T) { headOfTunnel(t, "200.content-length", "\r\nContent-Length: 1000\r\n") },
	"200.chunked":        func(t *testing.T) { headOfTunnel(t, "200.chunked", "\r\nTransfer-Encoding: chunked\r\n") },
	"200.close":          func(t *testing.T) { headOfTunnel(t, "200.close", "\r\nConnection: close\r\n") },
	"200.http10":         func(t *testing.T) { headOfTunnel(t, "200.http10", "HTTP/1.0 200 ") },
	"2xx":                func(t *testing.T) { headOfTunnel(t, "2xx=299", "HTTP/1.1 299 ") },
	"1xx":                testInterim,
	"tunnels": func(t *testing.T) {
		p := start(t, withFaults(t, "tunnels=2"))
		for _, want := range []int{200, 200, 503} {
			c := dialRaw(t, p)
			c.connect(echoTarget(t))
			c.expect(want)
		}
	},
	"tunnel.nagle": func(t *testing.T) { headOfTunnel(t, "tunnel.nagle", "HTTP/1.1 200 ") },
	"200.slow": func(t *testing.T) {
		begin := time.Now()
		headOfTunnel(t, "200.slow=150ms", "HTTP/1.1 200 ")
		waited(t, begin, 150*time.Millisecond)
	},
	"200.glued":      testGlued,
	"200.glued-text": func(t *testing.T) { oneSegment(t, "200.glued-text=hi there", echoTarget(t), "hi there") },
	"split":          func(t *testing.T) { headOfTunnel(t, "split", "HTTP/1.1 200 ") },

	"tunnel.reset": func(t *testing.T) { wantReset(t, "tunnel.reset", "\x16\x03\x01") },
	"tunnel.dpi": func(t *testing.T) {
		wantReset(t, "tunnel.dpi", "\x00\x03\x00\x08\x21\x12\xa4\x42")
		wantReset(t, "tunnel.dpi", "\x16\x01")
		headOfTunnel(t, "tunnel.dpi", "HTTP/1.1 200 ") // sends TLS
	},
	"tunnel.cut": func(t *testing.T) {
		begin := time.Now()
		c := headOfTunnel(t, "tunnel.cut=500ms", "HTTP/1.1 200 ")
		c.eof()
		waited(t, begin, 500*time.Millisecond)
	},
	"tunnel.cut-bytes": testCutBytes,
	"tunnel.idle": func(t *testing.T) {
		begin := time.Now()
		headOfTunnel(t, "tunnel.idle=500ms", "HTTP/1.1 200 ").eof()
		waited(t, begin, 500*time.Millisecond)
	},
	"tunnel.bursts":      testBursts,
	"tls.intercept":      testIntercept,
	"tls.intercept-http": testInterceptHTTP,
}

func TestFaults(t *testing.T) {
	infos := Faults()
	if len(infos) != len(faultTests) {
		t.Errorf("%d faults, %d tests", len(infos), len(faultTests))
	}
	for _, info := range infos {
		test := faultTests[info.Name]
		if test == nil {
			t.Errorf("fault %s has no test", info.Name)
			continue
		}
		if info.Text == "" || strings.Contains(info.Text, "\n") || info.Row < 0 || info.Row > 50 {
			t.Errorf("fault %s: not described in one line with a row of the catalogue: %+v", info.Name, info)
		}
		t.Run(info.Name, test)
	}
}

func TestParseFault(t *testing.T) {
	for in, want := range map[string]string{
		"407.close":         "407.close",
		"407.slow":          "407.slow=2s",
		"407.slow=3ms":      "407.slow=3ms",
		"200.glued-text=a=": "200.glued-text=a=",
		"ssl-ports=443+80":  "ssl-ports=443+80",
		"":                  `no fault is called ""`,
		"nonsense":          `no fault is called "nonsense"`,
		"407.close=1":       "fault 407.close takes no argument",
		"407.slow=fast":     `fault 407.slow: argument "fast": not a duration above 0`,
		"407.slow=0s":       `fault 407.slow: argument "0s": not a duration above 0`,
		"2xx=300":           `fault 2xx: argument "300": not a number from 200 to 299`,
		"ssl-ports=443+":    `fault ssl-ports: argument "443+": "" is no port`,
	} {
		f, err := ParseFault(in)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = f.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	for _, info := range Faults() {
		f, err := ParseFault(info.Name)
		if err != nil || f.Info() != info {
			t.Errorf("fault %s of the table: %v, info %+v", info.Name, err, f.Info())
		}
	}
}

// Faults of all phases at once neither crash nor wedge the proxy.
func TestFaultsTogether(t *testing.T) {
	p := refusing("407.slow=1ms", "407.chunked", "407.one-field", "407.silent-close", "split", "1xx", "2xx", "200.glued=1ms", "403.after-auth", "200.login-page")
	c := dialRaw(t, start(t, p))
	c.connect(echoTarget(t), basicLine("alice", "pässword"))
	c.expect(200)
}

// refusing is a proxy with Basic and the stand-in for NTLM, and faults.
func refusing(names ...string) *Proxy {
	p := &Proxy{Schemes: []Scheme{basicAlice(), legs()}}
	for _, name := range names {
		p.Faults = append(p.Faults, MustFault(name))
	}
	return p
}

// faultyClient has sent a request to such a proxy.
func faultyClient(t *testing.T, fault string, lines ...string) *client {
	t.Helper()
	c := dialRaw(t, start(t, refusing(fault)))
	c.connect("a.example.test:443", lines...)
	return c
}

func faulty407(t *testing.T, fault string) (*client, string) {
	t.Helper()
	c := faultyClient(t, fault)
	head := c.head()
	if !strings.Contains(head, " 407 ") {
		t.Fatalf("head %q, want a 407", head)
	}
	return c, head
}

// endOfPage wants the page and then the end of the connection.
func endOfPage(t *testing.T, c *client) {
	t.Helper()
	if got, err := io.ReadAll(c.br); err != nil || !bytes.HasSuffix(got, []byte("</html>\n")) {
		t.Errorf("after the head %d bytes, %.40q (%v); want a page and the end of the connection", len(got), got, err)
	}
}

func statusInstead(t *testing.T, fault string, status int, target string, lines ...string) *http.Response {
	t.Helper()
	c := dialRaw(t, start(t, refusing(fault)))
	c.connect(target, lines...)
	return c.expect(status)
}

// tlsBytes pass for the beginning of TLS.
// headOfTunnel opens a tunnel to an echo that must work, and looks for a text in the 2xx's head.
// tunnelAfter opens a tunnel with these header lines.
func wantOffers(t *testing.T, resp *http.Response) {
	t.Helper()
	want := []string{`Basic realm="lab", charset="UTF-8"`, "NTLM"}
	if got := resp.Header.Values("Proxy-Authenticate"); !slices.Equal(got, want) {
		t.Errorf("offers %q, want %q", got, want)
	}
}

func waited(t *testing.T, begin time.Time, least time.Duration) {
	t.Helper()
	if took := time.Since(begin); took < least {
		t.Errorf("it took %v, want %v at least", took, least)
	}
}

func testSSLPorts(t *testing.T) {
	statusInstead(t, "ssl-ports", 407, "a.example.test:443")
	statusInstead(t, "ssl-ports", 403, "a.example.test:3478")
	statusInstead(t, "ssl-ports=443+3478", 407, "a.example.test:3478")
}

func testLoginPage(t *testing.T) {
	c := faultyClient(t, "200.login-page")
	c.expect(200)
	if page, err := io.ReadAll(c.br); err != nil || !bytes.Contains(page, []byte("Sign in")) {
		t.Errorf("page %q (%v)", page, err)
	}
}

func testForever(t *testing.T) {
	p := start(t, refusing("407.forever"))
	c := dialRaw(t, p)
	for range 3 {
		c.connect("a.example.test:443", basicLine("alice", "pässword"))
		wantOffers(t, c.expect(407))
	}
	if got := p.Attempts(); len(got) != 0 {
		t.Errorf("attempts %v, want none: nothing was verified", got)
	}
}

func testEOFOnCredentials(t *testing.T) {
	faultyClient(t, "eof.on-credentials").expect(407)
	faultyClient(t, "eof.on-credentials", type1).eof()
}

func testSPNEGO(t *testing.T) {
	for name, wrap := range map[string]bool{"raw": false, "wrapped": true} {
		c := dialRaw(t, start(t, refusing("ntlm.spnego")))
		c.connect("a.example.test:443", type1)
		challenge, _ := strings.CutPrefix(c.expect(407).Header.Get("Proxy-Authenticate"), "NTLM ")
		// RFC 4178 section 4.2.2 by hand: [1], SEQUENCE, [0] accept-incomplete, [1] NTLMSSP, [2] the token.
		want := "\xa1\x22\x30\x20\xa0\x03\x0a\x01\x01\xa1\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a\xa2\x0b\x04\x09NTLMSSP\x00\x02"
		if got, err := base64.StdEncoding.DecodeString(challenge); string(got) != want {
			t.Fatalf("challenge %q (%v), want %q", got, err, want)
		}
		line := type3
		if wrap {
			der, err := wrapSPNEGO([]byte("NTLMSSP\x00\x03"))
			if err != nil {
				t.Fatal(err)
			}
			line = "Proxy-Authorization: NTLM " + base64.StdEncoding.EncodeToString(der)
		}
		c.connect(echoTarget(t), line)
		if got := c.answer().StatusCode; got != 200 {
			t.Errorf("%s answer: got %d, want 200", name, got)
		}
	}
}

func testStaleDigest(t *testing.T) {
	p := start(t, &Proxy{Schemes: []Scheme{Digest(aliceDigest(""))}, Faults: []Fault{MustFault("digest.stale=2")}})
	echo := echoTarget(t)
	c := dialRaw(t, p)
	c.connect(echo)
	for i := range 3 {
		challenge := c.expect(407).Header.Get("Proxy-Authenticate")
		if got := strings.Contains(challenge, "stale=true"); got != (i > 0) {
			t.Errorf("leg %d: challenge %q", i, challenge)
		}
		c.connect(echo, "Proxy-Authorization: Digest "+digestCredentials(t, challenge, map[string]string{"uri": echo}))
	}
	c.expect(200)
	if got, want := p.Attempts()[Account{"Digest", "alice"}], (Attempts{Accepted: 1}); got != want {
		t.Errorf("attempts %+v, want %+v", got, want)
	}
}

// oneSegment wants the 2xx and the tunnel's first bytes in one read.
// testBursts sends a packet every few milliseconds and wants them in a few heaps.
// interceptedEcho starts the proxy and a TLS echo; the function it returns does TLS with it.
