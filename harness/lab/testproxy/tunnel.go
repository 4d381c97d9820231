package testproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

type closeWriter interface{ CloseWrite() error }

// A tunnel copies between a client and a target until both have said all they had to say, or
// something cuts it.
type tunnel struct {
	c              *conn
	client, target net.Conn
	up, down       flow
	host           string        // of the target, as the client named it
	idle           time.Duration // without a byte until it is cut; 0: for ever
	life           time.Duration // from its beginning until it is cut; 0: for ever

	over chan struct{} // closed when nothing more is copied
	once sync.Once
	why  string // it was cut; valid after run
}

// A flow is one direction. src is what faults wrap; a TCP connection that is not wrapped takes no buffer
// while it is silent.
type flow struct {
	src   io.Reader
	dst   net.Conn
	bytes int64 // valid after run
}

// runTunnel answers 2xx and copies.
func (x *exchange) runTunnel(host string, target net.Conn) {
	c := x.c
	t := &tunnel{c: c, client: c.nc, target: target, host: host, idle: c.p.IdleTimeout, over: make(chan struct{})}
	t.up = flow{src: c.nc, dst: target}
	t.down = flow{src: target, dst: c.nc}
	c.tunnel = t
	r := c.established(x.v)
	if !x.prepare(r) {
		return
	}
	if !r.established() {
		c.tunnel = nil // so that serve hangs up politely
		x.note(r.status, r.why)
		x.write(r)
		return
	}
	c.p.book.opened(r.status)
	if x.write(r) {
		t.run()
	}
	c.p.book.ended()
	rec := x.record(r.status, t.why)
	rec.Tunnel, rec.Up, rec.Down = true, t.up.bytes, t.down.bytes
	c.p.book.add(rec)
}

func (t *tunnel) run() {
	defer close(t.over)
	t.client.SetDeadline(time.Time{})
	t.up.src = t.early()
	t.limit()
	for _, h := range t.c.hooks {
		if h.tunnel != nil {
			h.tunnel(t)
		}
	}
	if t.idle > 0 {
		defer t.watchIdle()()
	}
	if t.life > 0 {
		defer time.AfterFunc(t.life, func() { t.cut("alive for " + t.life.String()) }).Stop()
	}
	stop := context.AfterFunc(t.c.p.ctx, func() { t.cut("proxy closed") })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { t.copy(&t.up, "client") })
	t.copy(&t.down, "target")
	up.Wait()
	t.once.Do(func() {}) // a timer that fires now comes too late to change why
	t.client.Close()     // here for the TLS close_notify; the TCP connection has its owner
}

// early is the client's side with what it sent behind its request before it had an answer.
func (t *tunnel) early() io.Reader {
	n := t.c.br.Buffered()
	if n == 0 {
		return t.up.src
	}
	first, _ := t.c.br.Peek(n)
	return io.MultiReader(bytes.NewReader(first), t.up.src)
}

// copy moves one direction and passes its end on as a half-close. An error ends both directions.
func (t *tunnel) copy(f *flow, from string) {
	n, err := copyFlow(f.dst, f.src)
	f.bytes += n
	if err != nil {
		t.cut("from the " + from + ": " + err.Error())
		return
	}
	if w, ok := f.dst.(closeWriter); !ok || w.CloseWrite() != nil {
		t.cut("the " + from + " closed and the other side takes no half-close")
	}
}

// cut closes both connections. The first reason stays.
func (t *tunnel) cut(why string) {
	t.once.Do(func() {
		t.why = why
		t.client.Close()
		t.target.Close()
	})
}

// reset closes both connections with an RST.
func (t *tunnel) reset(why string) {
	t.once.Do(func() {
		t.why = why
		t.c.reset()
		reset(t.target)
	})
}

func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	nc.Close()
}

// watchIdle cuts the tunnel when neither direction had a byte for t.idle.
func (t *tunnel) watchIdle() (stop func()) {
	timer := time.AfterFunc(t.idle, func() { t.cut("idle for " + t.idle.String()) })
	seen := func(n int) (int, error) {
		timer.Reset(t.idle)
		return n, nil
	}
	t.up.src = &watched{t.up.src, seen}
	t.down.src = &watched{t.down.src, seen}
	return func() { timer.Stop() }
}

// watched calls seen with the number of bytes after every successful read; seen says how many of
// them to deliver and whether an error follows.
type watched struct {
	io.Reader
	seen func(n int) (int, error)
}

var errCut = errors.New("cut by the proxy")

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n == 0 {
		return n, err
	}
	keep, cut := w.seen(n)
	if cut != nil {
		return keep, cut
	}
	return keep, err
}
