package turntcp

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

const (
	// maxServerFrame bounds, in bytes, the memory of a connection and what it may send in one frame.
	// pion relays at most 1600 bytes the other way.
	maxServerFrame = 4096

	// maxRejected credentials in a row end a connection: who guesses must connect again, and a client
	// gone wrong cannot flood the log. coturn's client tries a wrong password 31 times.
	maxRejected = 64
)

// A conn is an accepted connection. For pion it is a net.PacketConn that holds one client: pion's
// own way of serving a net.Listener copies each frame three times, grows its stack while bytes drip
// in, never delivers ChannelData of up to 4 bytes and takes one that begins with STUN's magic cookie
// for STUN. A pion server for each connection also means that nothing is shared and every callback
// knows whom it is about.
//
// pion's read loop is the connection's goroutine; it ends when ReadFrom fails.
type conn struct {
	srv    *Server
	log    *slog.Logger
	nc     net.Conn
	frames *FrameReader
	ending sync.Once

	writing sync.Mutex // pion writes responses and relayed data from different goroutines

	// Of the goroutine that reads, in which pion calls back:
	generator relayGenerator
	request   []byte         // the frame that pion is working on
	account   string         // who signed it
	key       []byte         // and with what
	refusal   stun.ErrorCode // what we refuse it with, if pion has another word for it
	rejected  int            // credentials in a row

	mu     sync.Mutex
	reason error   // why the connection was hung up
	flows  []*flow // the allocation; another while the last one's end is being told
}

func newConn(s *Server, nc net.Conn, secure *tls.Config) *conn {
	c := &conn{srv: s, nc: nc, log: s.log.With("client", nc.RemoteAddr(), "transport", "tcp")}
	if secure != nil {
		c.log = s.log.With("client", nc.RemoteAddr(), "transport", "tls")
		c.nc = tls.Server(nc, secure)
	}
	c.generator.conn = c
	c.frames = NewFrameReader(c.nc, maxServerFrame)
	return c
}

// serve hands the connection to pion.
func (c *conn) serve() {
	c.log.Debug("connected", "server", c.nc.LocalAddr())
	c.mu.Lock()
	c.setIdleDeadline()
	c.mu.Unlock()
	// The pion server is not kept: it has nothing to close but this connection.
	if _, err := turn.NewServer(c.control()); err != nil {
		c.end(fmt.Errorf("start the control plane: %w", err))
	}
}

// ReadFrom returns the next frame that is for pion. After an error the connection is over.
func (c *conn) ReadFrom(p []byte) (int, net.Addr, error) {
	frame, err := c.next()
	if err != nil {
		c.end(err)
		return 0, nil, err
	}
	n := copy(p, frame)
	c.request, c.refusal = p[:n], 0
	return n, c.nc.RemoteAddr(), nil
}

func (c *conn) next() (Frame, error) {
	for {
		if c.rejected >= maxRejected {
			return nil, fmt.Errorf("%d credentials rejected", c.rejected)
		}
		frame, err := c.frames.ReadFrame()
		if err != nil {
			return nil, err
		}
		if frame.IsChannelData() {
			return frame, nil
		}
		if !frame.wellFormed() {
			continue // to be discarded silently (RFC 8489 section 6.3)
		}
		switch frame.messageType() & classMask {
		case classRequest:
			c.mu.Lock()
			c.setIdleDeadline()
			c.mu.Unlock()
			return frame, nil
		case classIndication:
			return frame, nil
		}
	}
}

// wellFormed tells whether the attributes of a STUN message fill it exactly (RFC 8489 section 14).
func (f Frame) wellFormed() bool {
	for rest := f[stunHeader:]; len(rest) > 0; {
		if len(rest) < 4 {
			return false
		}
		size := 4 + padded(int(binary.BigEndian.Uint16(rest[2:])))
		if size > len(rest) {
			return false
		}
		rest = rest[size:]
	}
	return true
}

// setIdleDeadline gives a client without an allocation a time for its next request; an allocation
// ends by its own lifetime. The caller holds mu.
func (c *conn) setIdleDeadline() {
	var deadline time.Time
	if len(c.flows) == 0 {
		deadline = time.Now().Add(c.srv.cfg.FirstRequestTimeout)
	}
	_ = c.nc.SetReadDeadline(deadline) // fails on a closed connection only
}

// WriteTo writes a whole frame or ends the connection: after a part of one the client could not
// find the next.
func (c *conn) WriteTo(p []byte, _ net.Addr) (int, error) {
	p = c.correct(p)
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
	if err == nil {
		_, err = c.nc.Write(p)
	}
	if err != nil {
		c.hangUp(fmt.Errorf("the client takes no data: %w", err))
		return 0, err
	}
	return len(p), nil
}

// hangUp closes the connection, which ends the goroutine that reads it. The first reason counts.
func (c *conn) hangUp(reason error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = reason
	}
	c.mu.Unlock()
	_ = c.nc.Close()
}

// end is the last act of the goroutine that reads.
func (c *conn) end(reason error) {
	c.ending.Do(func() {
		c.hangUp(reason)
		c.log.Debug("disconnected", "reason", c.reason)
		c.srv.untrack(c)
	})
}

// The rest makes it a net.PacketConn. pion wants LocalAddr, and the others only of its own servers.

func (c *conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

func (c *conn) Close() error {
	c.hangUp(errors.New("closed by the control plane"))
	return nil
}

func (c *conn) SetDeadline(t time.Time) error      { return c.nc.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.nc.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }
