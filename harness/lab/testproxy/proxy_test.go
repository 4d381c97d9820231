package testproxy

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
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

func TestDialTimeoutAndLegTimeout(t *testing.T) {
	p := start(t, &Proxy{LegTimeout: 500 * time.Millisecond, DialTimeout: 50 * time.Millisecond,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }})
	c := dialRaw(t, p)
	c.connect("turn.example.test:443")
	c.expect(504)
	c.write("CONNECT turn.example.test:443 HTTP/1.1\r\nHost:") // and never an end
	c.eof()
}

func TestIdleTimeout(t *testing.T) {
	p := start(t, &Proxy{IdleTimeout: 500 * time.Millisecond})
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
