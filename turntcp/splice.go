package turntcp

import (
	"bytes"
	"errors"
	"io"
	"time"
)

var errStreamEnded = errors.New("the stream has ended")

// spliceBuffer is how much of a stream is moved at once, each way, in bytes.
const spliceBuffer = 16 << 10

// splice relays a stream for as long as both connections stand (RFC 6062 section 5.5), in the
// goroutine that reads the client's.
func (c *conn) splice() error {
	s := c.stream
	_ = c.nc.SetReadDeadline(time.Time{}) // fails on a closed connection only
	down := make(chan struct{})
	go func() { // waited for below
		defer close(down)
		s.flow.move(clientEnd{c}, s.nc, s.flow.downRate, &s.flow.counts.down, &s.as.down)
		c.srv.streams.remove(s)
	}()
	c.sock.waitAgain()
	// What came with the request, or right behind it, belongs to the stream.
	from := io.MultiReader(bytes.NewReader(c.in.rest()), c.nc)
	s.flow.move(s.nc, from, s.flow.upRate, &s.flow.counts.up, &s.as.up)
	c.srv.streams.remove(s)
	<-down
	return errStreamEnded
}

// move copies until either end fails, no faster than the meters allow.
func (f *flow) move(to io.Writer, from io.Reader, rate meters, counts, peer *tally) {
	buf := make([]byte, spliceBuffer)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !f.wait(rate, n) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			counts.add(1, n)
			peer.add(1, n)
		}
		if err != nil {
			return
		}
	}
}

// wait waits until the meters let n bytes pass, and reports false if the allocation ends meanwhile. A
// stream must not lose anything, so it is slowed down.
func (f *flow) wait(rate meters, n int) bool {
	for !rate.pass(n) {
		pause := time.NewTimer(5 * time.Millisecond)
		select {
		case <-pause.C:
		case <-f.lives.Done():
			pause.Stop()
			return false
		}
	}
	return true
}

// A clientEnd writes to a client and waits until the kernel has taken it, where our socket would
// gather.
type clientEnd struct{ c *conn }

func (e clientEnd) Write(p []byte) (int, error) {
	n, err := e.c.nc.Write(p)
	if err != nil {
		return n, err
	}
	written := make(chan struct{})
	if e.c.sock.busy(func() { close(written) }) {
		<-written
	}
	return n, nil
}
