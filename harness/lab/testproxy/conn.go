package testproxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A conn is one connection of a client: requests and answers until one of them becomes a tunnel.
type conn struct {
	p     *Proxy
	id    int
	tcp   net.Conn // as accepted
	nc    net.Conn // what requests are read from: tcp, or TLS over it
	br    *bufio.Reader
	hooks []hooks

	binding   []byte // of the certificate we showed
	maxHeader int
	legs      int // requests so far

	handshake handshake // in progress, or done and bound to the connection
	tunnel    *tunnel
}

func newConn(p *Proxy, id int, tcp net.Conn) *conn {
	c := &conn{p: p, id: id, tcp: tcp, nc: tcp, maxHeader: orDefault(p.MaxHeader, 64<<10)}
	for _, f := range p.faults(id) {
		c.hooks = append(c.hooks, f.hooks())
	}
	return c
}

func (c *conn) serve() {
	for _, h := range c.hooks {
		if h.accepted != nil {
			h.accepted(c)
		}
	}
	if err := c.startTLS(); err != nil {
		c.p.book.add(Record{Conn: c.id, Remote: c.remote(), Start: time.Now(), End: time.Now(), Reason: "tls: " + err.Error()})
		return
	}
	c.br = bufio.NewReader(c.nc)
	for c.serveOne() {
	}
	if c.tunnel == nil {
		c.hangUp()
	}
}

func (c *conn) startTLS() error {
	if c.p.TLS == nil {
		return nil
	}
	cfg := boundConfig(c.p.TLS, &c.binding)
	tc := tls.Server(c.tcp, cfg)
	c.nc = tc
	c.tcp.SetDeadline(time.Now().Add(c.legTimeout()))
	defer c.tcp.SetDeadline(time.Time{})
	return tc.HandshakeContext(c.p.ctx)
}

// serveOne reads one request and answers it; it reports whether another may follow.
func (c *conn) serveOne() (again bool) {
	c.nc.SetReadDeadline(time.Now().Add(c.legTimeout()))
	head, err := readHead(c.br, c.maxHeader)
	x := &exchange{c: c, start: time.Now()}
	var req *request
	if err == nil {
		req, err = parseRequest(head)
	}
	if err != nil {
		return c.refuseMalformed(x, err)
	}
	c.legs++
	x.req = req
	return x.answer()
}

// refuseMalformed answers what is no request, unless the client just left or fell silent.
func (c *conn) refuseMalformed(x *exchange, err error) (again bool) {
	var bad *badRequest
	if !errors.As(err, &bad) {
		if !errors.Is(err, io.EOF) {
			x.note(0, "read: "+err.Error())
		}
		return false
	}
	r := c.page(bad.status, bad.squid, bad.text)
	r.close = true
	return x.send(r)
}

// hangUp closes so that the client can still read our last answer: with bytes unread in our
// buffer, a plain close would send a reset that discards the answer on its way (RFC 9112 section 9.6).
func (c *conn) hangUp() {
	if w, ok := c.nc.(closeWriter); !ok || w.CloseWrite() != nil {
		return
	}
	c.tcp.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	io.CopyN(io.Discard, c.tcp, 1<<20)
}

// reset closes the client's connection with an RST.
func (c *conn) reset() { reset(c.tcp) }

func (c *conn) remote() string { return c.tcp.RemoteAddr().String() }

func (c *conn) legTimeout() time.Duration { return orDefault(c.p.LegTimeout, 30*time.Second) }

// maxLegs bounds the requests of a connection.
const maxLegs = 1000

// An exchange is one request and its answer.
type exchange struct {
	c     *conn
	req   *request
	start time.Time
	v     verdict
}

// answer is the way of a request through the proxy: fault, method, target, credentials, policy,
// dial, tunnel.
func (x *exchange) answer() (again bool) {
	for _, h := range x.c.hooks {
		if h.request == nil {
			continue
		}
		if r := h.request(x); r != nil {
			return x.send(r)
		}
	}
	if x.req.method != http.MethodConnect {
		r := x.c.page(http.StatusMethodNotAllowed, "ERR_UNSUP_REQ", "this proxy serves CONNECT only")
		r.set("Allow", http.MethodConnect)
		r.close = true // the request may have a body, which we do not read
		return x.send(r)
	}
	host, port, err := parseTarget(x.req.target)
	if err != nil {
		return x.c.refuseMalformed(x, &badRequest{http.StatusBadRequest, "ERR_INVALID_URL", err.Error()})
	}
	if x.authenticate(); !x.v.accepted {
		return x.send(x.c.challenge(x.v))
	}
	if x.c.p.AllowTarget != nil {
		if err := x.c.p.AllowTarget(host, port); err != nil {
			return x.send(x.c.page(http.StatusForbidden, "ERR_ACCESS_DENIED", err.Error()))
		}
	}
	if err := x.c.p.capacity.enter(); err != nil {
		return x.send(x.c.full())
	}
	defer x.c.p.capacity.leave()
	target, err := x.c.p.dial(host, port)
	if err != nil {
		return x.send(x.c.dialFailed(err))
	}
	defer x.c.p.untrack(target)
	x.runTunnel(host, target)
	return false
}

// send writes an answer that is not the beginning of a tunnel.
func (x *exchange) send(r *response) (again bool) {
	if !x.prepare(r) {
		return false
	}
	x.note(r.status, r.why) // first, so that whoever has the answer finds the record
	return x.write(r) && !r.close && !r.hangUp
}

// prepare lets the faults at an answer and waits until it is due; false: the proxy closes.
func (x *exchange) prepare(r *response) bool {
	r.v = x.v
	if x.req == nil || !x.req.keepAlive() || x.c.legs >= maxLegs {
		r.close = true
	}
	for _, h := range x.c.hooks {
		if h.answer != nil {
			h.answer(x, r)
		}
	}
	if r.framing == byChunks && x.req.minor == 0 {
		r.framing = byClose // HTTP/1.0 knows no chunks
	}
	if r.framing == byClose {
		r.close = true
	}
	return r.delay <= 0 || x.c.p.sleep(r.delay)
}

func (x *exchange) write(r *response) bool {
	x.c.nc.SetWriteDeadline(time.Now().Add(x.c.legTimeout()))
	err := r.write(x.c.nc)
	if err != nil {
		x.note(0, fmt.Sprintf("write of the %d: %v", r.status, err))
	}
	return err == nil
}

// record is what is known of the exchange now.
func (x *exchange) record(status int, reason string) Record {
	r := Record{Conn: x.c.id, Remote: x.c.remote(), Legs: x.c.legs, Status: status, Start: x.start, End: time.Now(),
		Scheme: x.v.scheme, User: x.v.user, Reason: reason}
	if x.req != nil {
		r.Target = x.req.target
	}
	return r
}

func (x *exchange) note(status int, reason string) { x.c.p.book.add(x.record(status, reason)) }
