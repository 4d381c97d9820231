package proxyconnect

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/proxy"
)

var (
	_ proxy.ContextDialer = (*Dialer)(nil)
	_ proxy.Dialer        = (*Dialer)(nil)
	_ proxy.Dialer        = ICE{}
)

// testTLS borrows the certificate of net/http/httptest (127.0.0.1, example.com).
func testTLS(t *testing.T) (server, client *tls.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// httpsScript plays a script behind TLS.
func httpsScript(t *testing.T, s script, config *tls.Config) *played {
	t.Helper()
	inner := s.play(t)
	address := strings.TrimPrefix(inner.url, "http://")
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { splice(conn, address) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	inner.url = "https://" + l.Addr().String()
	return inner
}

func splice(conn net.Conn, address string) {
	defer conn.Close()
	up, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer up.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(up, conn); up.(*net.TCPConn).CloseWrite() })
	io.Copy(conn, up)
	conn.Close()
	wg.Wait()
}

func TestHTTPSProxy(t *testing.T) {
	server, client := testTLS(t)
	var seen Request
	binder := Mechanism{Scheme: "Basic", Begin: func(_ context.Context, r Request) (Exchange, error) {
		seen = r
		return &sayer{lines: []any{"x"}}, nil
	}}
	p := httpsScript(t, script{{keepBasic, answer200}}, server)
	d := Dialer{Proxy: p.url, TLS: client, Mechanisms: []Mechanism{binder}}
	conn, err := d.DialContext(t.Context(), "tcp", "turn.example:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	checkEcho(t, conn)
	if client.ServerName != "" {
		t.Error("the caller's TLS configuration was written to")
	}
	hash := sha256.Sum256(server.Certificates[0].Certificate[0])
	if got, want := string(seen.TLSServerEndPoint()), "tls-server-end-point:"+string(hash[:]); got != want {
		t.Errorf("binding %q, want %q", got, want)
	}
	if seen.ProxyHost != "127.0.0.1" || seen.Method != "CONNECT" || seen.Target != "turn.example:443" {
		t.Errorf("the mechanism was told %+v", seen)
	}
}

func TestHTTPSProxyNotTrusted(t *testing.T) {
	server, _ := testTLS(t)
	p := httpsScript(t, script{{answer200}}, server)
	_, err := (&Dialer{Proxy: p.url}).Dial("tcp", "a:1")
	var ce *ConnectError
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &ce) || ce.Stage != StageTLS || !errors.As(err, &unknown) {
		t.Errorf("got %v, want an unknown authority at stage %q", err, StageTLS)
	}
}

func TestBindingNeedsTLS(t *testing.T) {
	if got := (Request{}).TLSServerEndPoint(); got != nil {
		t.Errorf("got %x, want none", got)
	}
}

func TestDialTLS(t *testing.T) {
	server, client := testTLS(t)
	d := &Dialer{Proxy: tlsEchoProxy(t, server)}
	conn, err := d.DialTLSContext(t.Context(), "tcp", "example.com:443", client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	checkEcho(t, conn)
	if tunnel, ok := conn.NetConn().(*Conn); !ok || tunnel.Info().Target != "example.com:443" {
		t.Errorf("NetConn is a %T", conn.NetConn())
	}

	d = &Dialer{Proxy: tlsEchoProxy(t, server)}
	_, err = d.DialTLSContext(t.Context(), "tcp", "elsewhere.example:443", client)
	var ce *ConnectError
	var name x509.HostnameError
	if !errors.As(err, &ce) || ce.Stage != StageTunnelTLS || !errors.As(err, &name) {
		t.Errorf("wrong name: got %v, want a host name error at stage %q", err, StageTunnelTLS)
	}
}

func TestICE(t *testing.T) {
	server, client := testTLS(t)
	t.Run("turns", func(t *testing.T) {
		// The tunnel's far end is the script's echo, which must then speak TLS.
		p := tlsEchoProxy(t, server)
		ice := ICE{Dialer: &Dialer{Proxy: p}, TLS: func(address string) *tls.Config {
			if address == "example.com:443" {
				return client
			}
			return nil
		}}
		conn, err := ice.Dial("tcp4", "example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		checkEcho(t, conn)
		if _, ok := conn.LocalAddr().(*net.TCPAddr); !ok {
			t.Errorf("LocalAddr is a %T", conn.LocalAddr())
		}
	})
	t.Run("one tunnel for both families", func(t *testing.T) {
		dialled := 0
		d := &Dialer{Proxy: "p:1", DialProxy: func(context.Context, string, string) (net.Conn, error) { dialled++; return nil, io.EOF }}
		failed := 0
		ice := ICE{Dialer: d, Failed: func(error) { failed++ }}
		for _, tt := range []struct {
			network, address string
			both             bool
			dials            int
		}{{"tcp4", "a:1", false, 1}, {"tcp6", "a:1", false, 0}, {"tcp6", "[::1]:1", false, 1}, {"tcp6", "a:1", true, 1}} {
			dialled, failed, ice.BothFamilies = 0, 0, tt.both
			if _, err := ice.Dial(tt.network, tt.address); err == nil || dialled != tt.dials || failed != tt.dials {
				t.Errorf("%+v: dialled %d times, Failed called %d times, %v", tt, dialled, failed, err)
			}
		}
	})
	t.Run("turn, address of another kind", func(t *testing.T) {
		mine, theirs := net.Pipe()
		go script{{answer200}}.serveOne(t, theirs)
		d := &Dialer{Proxy: "p:1", DialProxy: func(context.Context, string, string) (net.Conn, error) { return mine, nil }}
		conn, err := ICE{Dialer: d}.Dial("tcp", "a:1")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, ok := conn.LocalAddr().(*net.TCPAddr); !ok {
			t.Errorf("LocalAddr is a %T", conn.LocalAddr())
		}
	})
}

func (s script) serveOne(t *testing.T, conn net.Conn) { new(played).serve(t, 0, conn, s) }

// tlsEchoProxy answers every CONNECT with 200 and is then itself the TLS server at the far end.
func tlsEchoProxy(t *testing.T, config *tls.Config) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		readRequestHead(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		secure := tls.Server(conn, config)
		io.Copy(secure, secure)
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		keepBasic, answer200, basic407("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
		"HTTP/1.0 200\n\n", "HTTP/1.1 100 Continue\r\n\r\n" + keepBasic, offer("NTLM TlRM=", `Digest nonce="x`),
		basic407("Content-Length: 18446744073709551615\r\nConnection: keep-alive\r\n", ""), "\x15\x03\x01\x00\x02",
		"HTTP/1.1 401 X\r\nWww-Authenticate: Basic realm=\"\r\n folded\r\nbad line\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		br := bufio.NewReader(strings.NewReader(string(b)))
		r, err := readResponse(br)
		if err != nil {
			return
		}
		if r.status < 200 || r.status > 999 {
			t.Errorf("status %d", r.status)
		}
		r.drain(br)
		for _, c := range r.challenges() {
			parseDigest(c.Rest)
		}
		r.lastWord("Negotiate")
	})
}
