package testproxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func basicLine(user, password string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestBasicOnOneConnection(t *testing.T) {
	p := start(t, &Proxy{Schemes: []Scheme{basicAlice()}})
	echo := echoTarget(t)
	c := dialRaw(t, p)
	c.connect(echo)
	resp := c.expect(407)
	if got, want := resp.Header.Get("Proxy-Authenticate"), `Basic realm="lab", charset="UTF-8"`; got != want {
		t.Errorf("challenge %q, want %q", got, want)
	}
	if resp.ContentLength < 1000 || resp.ContentLength > 4000 || resp.Close {
		t.Errorf("407 with %d bytes, close %v; want 1-4 kB on a connection kept alive", resp.ContentLength, resp.Close)
	}
	c.connect(echo, basicLine("alice", "wrong"))
	c.expect(407)
	c.connect(echo, basicLine("alice", "pässword"))
	c.expect(200)
	c.echo("through the tunnel")
	c.nc.(*net.TCPConn).CloseWrite()
	c.eof()

	r := lastRecord(t, p, 200)
	want := Record{Conn: 1, Remote: c.nc.LocalAddr().String(), Legs: 3, Status: 200, Target: echo, Scheme: "Basic", User: "alice",
		Tunnel: true, Up: 18, Down: 18, Start: r.Start, End: r.End}
	if r != want {
		t.Errorf("record %+v\nwant   %+v", r, want)
	}
	if got, want := p.Attempts()[Account{"Basic", "alice"}], (Attempts{Accepted: 1, Rejected: 1}); got != want {
		t.Errorf("attempts %+v, want %+v", got, want)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	p := start(t, &Proxy{
		MaxHeader: 1000, LikeSquid: true, Hosts: map[string]string{"turn.example.test": "127.0.0.1"},
		AllowTarget: func(host string, port int) error {
			if port == 25 {
				return errors.New("no mail")
			}
			return nil
		}})
	closed := closedPort(t)
	for _, c := range []struct {
		name, request string
		status        int
		close         bool
		squid         string
	}{
		{"no HTTP", "\x16\x03\x01\r\n\r\n", 400, true, "ERR_PROTOCOL_UNKNOWN"},
		{"other method", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 405, true, "ERR_UNSUP_REQ"},
		{"version", "CONNECT a:1 HTTP/2.0\r\nHost: a\r\n\r\n", 505, true, "ERR_UNSUP_HTTPVERSION"},
		{"two spaces", "CONNECT  a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, true, "ERR_PROTOCOL_UNKNOWN"},
		{"no Host", "CONNECT a:1 HTTP/1.1\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"two Hosts", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"folded line", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"space before colon", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"control character", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nX: a\x00\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"two credentials", connectHead("1.1", "a:1", "Proxy-Authorization: A", "Proxy-Authorization: B"), 400, true, "ERR_INVALID_REQ"},
		{"content", connectHead("1.1", "a:1", "Content-Length: 3") + "abc", 400, true, "ERR_INVALID_REQ"},
		{"chunks", connectHead("1.1", "a:1", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400, true, "ERR_INVALID_REQ"},
		{"long head", connectHead("1.1", "a:1", "X: "+strings.Repeat("a", 1000)), 431, true, "ERR_TOO_BIG"},
		{"no port", connectHead("1.1", "turn.example.test"), 400, true, "ERR_INVALID_URL"},
		{"IPv6 without brackets", connectHead("1.1", "2001:db8::1:443"), 400, true, "ERR_INVALID_URL"},
		{"brackets around a name", connectHead("1.1", "[turn.example.test]:443"), 400, true, "ERR_INVALID_URL"},
		{"port 0", connectHead("1.1", "turn.example.test:0"), 400, true, "ERR_INVALID_URL"},
		{"URL", connectHead("1.1", "http://turn.example.test:443"), 400, true, "ERR_INVALID_URL"},
		{"policy", connectHead("1.1", "turn.example.test:25"), 403, false, "ERR_ACCESS_DENIED"},
		{"unknown name", connectHead("1.1", "other.example.test:443"), 500, true, "ERR_CANNOT_FORWARD"},
		{"refused", connectHead("1.1", "turn.example.test:"+closed), 503, true, "ERR_CONNECT_FAIL 111"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := dialRaw(t, p)
			raw.write(c.request)
			resp := raw.expect(c.status)
			if got := resp.Header.Get("X-Squid-Error"); got != c.squid && got != c.squid+" 0" {
				t.Errorf("X-Squid-Error %q, want %q", got, c.squid)
			}
			if resp.Close != c.close {
				t.Errorf("close %v, want %v", resp.Close, c.close)
			}
			if c.close {
				raw.eof()
			} else {
				raw.connect("turn.example.test:25")
				raw.expect(403)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	p := start(t, &Proxy{Schemes: []Scheme{basicAlice()}})
	for _, c := range []struct {
		version, line string
		keep          bool
	}{
		{"1.1", "X: y", true},
		{"1.1", "Connection: close", false},
		{"1.1", "Connection: foo, CLOSE", false},
		{"1.1", "Proxy-Connection: close", false},
		{"1.0", "X: y", false},
		{"1.0", "Proxy-Connection: Keep-Alive", true},
		{"1.0", "Connection: keep-alive", true},
	} {
		raw := dialRaw(t, p)
		raw.write(connectHead(c.version, "a:1", c.line))
		if resp := raw.expect(407); resp.Close == c.keep {
			t.Errorf("HTTP/%s with %q: close %v, want %v", c.version, c.line, resp.Close, !c.keep)
		}
		if !c.keep {
			raw.eof()
			continue
		}
		raw.connect("a:1")
		raw.expect(407)
	}
}

func TestOneRequestInPiecesAndEarlyBytes(t *testing.T) {
	p := start(t, new(Proxy))
	echo := echoTarget(t)
	c := dialRaw(t, p)
	for _, b := range []byte("\r\n" + connectHead("1.0", echo)) {
		c.write(string(b))
	}
	c.expect(200)
	c.echo("one")

	c = dialRaw(t, p)
	early := strings.Repeat("early bytes ", 1000) // more than the proxy's buffer of requests
	c.write(connectHead("1.1", echo) + early)
	c.expect(200)
	c.read(early)
	c.nc.(*net.TCPConn).CloseWrite()
	c.eof()
}

func TestHalfClose(t *testing.T) {
	for _, https := range []bool{false, true} {
		p := &Proxy{}
		if https {
			p.TLS = testPKI(t).server
		}
		start(t, p)
		// The target speaks only after the client has finished.
		late := target(t, func(nc net.Conn) {
			got, _ := io.ReadAll(nc)
			fmt.Fprintf(nc, "%d bytes", len(got))
		})
		c := dialRaw(t, p)
		c.connect(late)
		c.expect(200)
		c.write("twelve bytes")
		if err := c.nc.(closeWriter).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.read("12 bytes")
		c.eof()
		if r := lastRecord(t, p, 200); r.Up != 12 || r.Down != 8 || r.Reason != "" {
			t.Errorf("https %v: %d bytes up, %d down, reason %q; want 12, 8, none", https, r.Up, r.Down, r.Reason)
		}
	}
}

func TestIPv6Target(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer listener.Close()
	p := start(t, new(Proxy))
	c := dialRaw(t, p)
	c.connect(listener.Addr().String())
	c.expect(200)
}

func TestDialFailures(t *testing.T) {
	for _, c := range []struct {
		err               error
		status, squidsOwn int
		squid             string
	}{
		{context.DeadlineExceeded, 504, 503, "ERR_CONNECT_FAIL 110"},
		{&net.OpError{Op: "dial", Err: timeoutError{}}, 504, 503, "ERR_CONNECT_FAIL 110"},
		{os.NewSyscallError("connect", syscall.ETIMEDOUT), 504, 503, "ERR_CONNECT_FAIL 110"},
		{os.NewSyscallError("connect", syscall.ECONNREFUSED), 503, 503, "ERR_CONNECT_FAIL 111"},
		{&net.DNSError{IsTimeout: true}, 502, 500, "ERR_CANNOT_FORWARD 0"},
		{&net.DNSError{IsNotFound: true}, 502, 500, "ERR_CANNOT_FORWARD 0"},
		{errors.New("something else"), 502, 503, "ERR_CONNECT_FAIL 0"},
	} {
		for _, likeSquid := range []bool{false, true} {
			p := start(t, &Proxy{LikeSquid: likeSquid, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, c.err }})
			raw := dialRaw(t, p)
			raw.connect("turn.example.test:443")
			status, squid := c.status, ""
			if likeSquid {
				status, squid = c.squidsOwn, c.squid
			}
			if got := raw.expect(status).Header.Get("X-Squid-Error"); got != squid {
				t.Errorf("%v: X-Squid-Error %q, want %q", c.err, got, squid)
			}
			raw.eof()
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "timed out" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestDialTimeoutAndLegTimeout(t *testing.T) {
	p := start(t, &Proxy{LegTimeout: 50 * time.Millisecond, DialTimeout: 50 * time.Millisecond,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }})
	c := dialRaw(t, p)
	c.connect("turn.example.test:443")
	c.expect(504)
	c.write("CONNECT turn.example.test:443 HTTP/1.1\r\nHost:") // and never an end
	c.eof()
}

func TestIdleTimeout(t *testing.T) {
	p := start(t, &Proxy{IdleTimeout: 100 * time.Millisecond})
	c := dialRaw(t, p)
	c.connect(echoTarget(t))
	c.expect(200)
	c.echo("alive")
	c.eof()
	if r := lastRecord(t, p, 200); !strings.HasPrefix(r.Reason, "idle") || r.Up != 5 || r.Down != 5 {
		t.Errorf("record %+v, want 5 bytes each way and the reason idle", r)
	}
}

// Close cuts what is open and is not held up by it.
func TestClose(t *testing.T) {
	p := start(t, &Proxy{Faults: []Fault{MustFault("407.slow=1m")}, Schemes: []Scheme{basicAlice()}})
	echo := echoTarget(t)
	tunnel, slow, silent := dialRaw(t, p), dialRaw(t, p), dialRaw(t, p)
	tunnel.connect(echo, basicLine("alice", "pässword"))
	tunnel.expect(200)
	tunnel.echo("open")
	if got := p.Tunnels(); got != 1 {
		t.Errorf("%d tunnels open, want 1", got)
	}
	slow.connect(echo)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for name, c := range map[string]*client{"tunnel": tunnel, "slow": slow, "silent": silent} {
		if _, err := c.br.ReadByte(); err == nil || isTimeout(err) {
			t.Errorf("%s: read after Close: %v, want the end", name, err)
		}
	}
	if got := p.Tunnels(); got != 0 {
		t.Errorf("%d tunnels open after Close, want none", got)
	}
	if err := new(Proxy).Close(); err != nil {
		t.Errorf("Close of a proxy that never listened: %v", err)
	}
}

func TestScriptChoosesFaultsByConnection(t *testing.T) {
	p := start(t, &Proxy{Script: func(conn int) []Fault {
		if conn == 2 {
			return []Fault{MustFault("403")}
		}
		return nil
	}})
	echo := echoTarget(t)
	for i, want := range []int{200, 403, 200} {
		c := dialRaw(t, p)
		c.connect(echo)
		if got := c.answer().StatusCode; got != want {
			t.Errorf("connection %d: got %d, want %d", i+1, got, want)
		}
		c.nc.Close()
	}
}

func TestRecordsAreBoundedAndLogged(t *testing.T) {
	var logged atomic.Int64
	p := start(t, &Proxy{KeepRecords: 3, Log: func(Record) { logged.Add(1) }, Schemes: []Scheme{basicAlice()}})
	c := dialRaw(t, p)
	for i := range 10 {
		c.connect(fmt.Sprintf("a:%d", i+1))
		c.expect(407)
	}
	if got := p.Records(); len(got) != 3 || got[2].Target != "a:10" || got[2].Reason != "no credentials" {
		t.Errorf("records %+v, want the newest three", got)
	}
	if got := logged.Load(); got != 10 {
		t.Errorf("%d records logged, want 10", got)
	}
	if got := p.Answers()[407]; got != 10 {
		t.Errorf("%d answers counted, want 10", got)
	}
}

func TestAccountsAreBounded(t *testing.T) {
	b := newBook(1, nil)
	for i := range maxAccounts + 10 {
		b.attempt(verdict{scheme: "Basic", user: fmt.Sprint(i), err: errNoVerdict})
	}
	if got := len(b.attempts); got != maxAccounts+1 {
		t.Errorf("%d accounts, want %d", got, maxAccounts+1)
	}
	if got := b.attempts[Account{"Basic", "(others)"}].Rejected; got != 10 {
		t.Errorf("%d attempts of others, want 10", got)
	}
}

func TestListenErrors(t *testing.T) {
	p := start(t, new(Proxy))
	if err := p.Listen("127.0.0.1:0"); err == nil {
		t.Error("a second Listen succeeded")
	}
	if err := new(Proxy).Listen(p.Addr().String()); err == nil {
		t.Error("Listen on a port in use succeeded")
	}
	named := start(t, &Proxy{Host: "localhost", TLS: testPKI(t).server})
	_, port, _ := net.SplitHostPort(named.Addr().String())
	if got, want := named.URL(), "https://localhost:"+port; got != want {
		t.Errorf("URL %q, want %q", got, want)
	}
}

// A connection has an end, however patient its client.
func TestLegsAreBounded(t *testing.T) {
	p := start(t, &Proxy{Schemes: []Scheme{basicAlice()}})
	c := dialRaw(t, p)
	var resp *http.Response
	for range maxLegs {
		if resp != nil && resp.Close {
			t.Fatal("closed too early")
		}
		c.connect("a:1")
		resp = c.expect(407)
	}
	if !resp.Close {
		t.Error("the last answer does not close")
	}
	c.eof()
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}
