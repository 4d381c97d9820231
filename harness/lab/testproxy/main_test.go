package testproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// start runs a proxy until the test ends.
func start(t testing.TB, p *Proxy) *Proxy {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// withFaults is an open proxy with faults.
func withFaults(t testing.TB, names ...string) *Proxy {
	t.Helper()
	p := new(Proxy)
	for _, name := range names {
		p.Faults = append(p.Faults, MustFault(name))
	}
	return p
}

// target runs serve for every connection until the test ends.
func target(t testing.TB, serve func(nc net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer nc.Close()
				defer context.AfterFunc(ctx, func() { nc.Close() })()
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		cancel()
		serving.Wait()
	})
	return listener.Addr().String()
}

func echoTarget(t testing.TB) string {
	return target(t, func(nc net.Conn) { io.Copy(nc, nc) })
}

// A client is a raw HTTP client on one connection.
type client struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func dialRaw(t testing.TB, p *Proxy) *client {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if p.TLS != nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	nc.SetDeadline(time.Now().Add(patience))
	return &client{t, nc, bufio.NewReader(nc)}
}

func (c *client) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatal(err)
	}
}

// connect sends a CONNECT with header lines.
func (c *client) connect(target string, lines ...string) {
	c.t.Helper()
	c.write(connectHead("1.1", target, lines...))
}

func connectHead(version, target string, lines ...string) string {
	head := fmt.Sprintf("CONNECT %s HTTP/%s\r\nHost: %s\r\n", target, version, target)
	for _, line := range lines {
		head += line + "\r\n"
	}
	return head + "\r\n"
}

// answer reads the head of an answer, and its body where it is no 2xx.
func (c *client) answer() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	if resp.StatusCode/100 != 2 {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			c.t.Fatalf("the body of the %d: %v", resp.StatusCode, err)
		}
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return resp
}

// expect reads an answer of this status.
func (c *client) expect(status int) *http.Response {
	c.t.Helper()
	resp := c.answer()
	if resp.StatusCode != status {
		c.t.Fatalf("got %s, want %d", resp.Status, status)
	}
	return resp
}

// head reads the bytes of one answer's head as they are on the wire.
func (c *client) head() string {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			c.t.Fatalf("after %q: %v", head.String(), err)
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// echo sends a text through the tunnel and wants it back.
func (c *client) echo(text string) {
	c.t.Helper()
	c.write(text)
	c.read(text)
}

func (c *client) read(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.br, got); err != nil || string(got) != want {
		c.t.Fatalf("read %d bytes %.80q (%v), want %d bytes %.80q", n, got[:n], err, len(want), want)
	}
}

// eof wants the orderly end of the connection, with nothing before it.
func (c *client) eof() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
		c.t.Fatalf("got %q and error %v, want the end of the connection", rest, err)
	}
}

// lastRecord waits for a record with this status.
func lastRecord(t testing.TB, p *Proxy, status int) Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := p.WaitRecord(ctx, func(r Record) bool { return r.Status == status })
	if err != nil {
		t.Fatalf("no record of status %d: %v; records: %+v", status, err, p.Records())
	}
	return r
}

func basicAlice() Scheme {
	return Basic("lab", func(user, password string) bool { return user == "alice" && password == "pässword" })
}
