package testproxy

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

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
