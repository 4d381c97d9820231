package turntcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

const (
	// maxServerFrame bounds, in bytes, what a client without an allocation may send in one frame, and
	// anybody in a request.
	maxServerFrame = 4096

	// maxRejected credentials in a row end a connection: who guesses must connect again, and a client
	// gone wrong cannot flood the log. coturn's client tries a wrong password 31 times.
	maxRejected = 64
)

// A conn is an accepted connection. For pion it is a net.PacketConn that holds one client, from which
// only requests come: the data is relayed without pion, which copies each frame three times, cuts
// datagrams at 1600 bytes, looks at no permission of a bound channel and, served by a net.Listener,
// keeps ChannelData of up to 4 bytes back for ever. A pion server for each connection also means that nothing is shared and every callback
// knows whom it is about.
//
// pion's read loop is the connection's goroutine; it ends when ReadFrom fails.
type conn struct {
	srv       *Server
	id        uint64
	since     time.Time
	log       *slog.Logger
	sock      *socket
	nc        net.Conn // TLS over the socket, or the socket itself; mu guards it until it is prepared
	announced netip.AddrPort
	claimed   bool // as one of its address; the server's lock guards it
	ending    sync.Once
	out       *outbox
	quiet     atomic.Int32 // what the sweep knows of it
	// Of the goroutine that reads, in which pion calls back:
	in         intake
	ready      func(fd uintptr) bool // readReady, made once
	arrived    Frame                 // a request that it found
	arrivedErr error                 // or the end
	generator  relayGenerator
	up         upstream
	request    []byte // the frame that pion is working on
	signer     signer // who signed it, as it says
	account    string // the account of that user
	key        stun.MessageIntegrity
	wish       wish           // of an Allocate request
	verdict    stun.ErrorCode // on the request as a whole; 0 if it is acceptable
	refusal    stun.ErrorCode // what we refuse it with, if pion has another word for it
	rejected   int            // credentials in a row
	taken      bool           // we answer the request, pion's answer is not sent
	deletes    atomic.Bool    // the request ends the allocation
	stream     *stream        // what the connection is for, from the next read on

	mu      sync.Mutex
	reason  error   // why the connection was hung up
	lastTCP TCPInfo // as it was then
	flows   []*flow // the allocation; another while the last one's end is being told
	current atomic.Pointer[flow]
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, id: s.ids.Add(1), since: time.Now()}
	c.log = s.log.With("connection", c.id, "client", nc.RemoteAddr())
	c.sock = newSocket(nc, s.cfg.WriteTimeout, s.running.Go, func(err error) { c.hangUp(noData(err)) })
	c.nc = c.sock
	c.in = intake{cutter: cutter{limit: maxServerFrame}, size: maxServerFrame}
	c.ready = c.readReady
	c.generator.conn = c
	return c
}

// serve hands the connection to pion.
func (c *conn) serve() {
	c.log.Debug("connected", "server", c.nc.LocalAddr())
	c.mu.Lock()
	c.setIdleDeadline()
	c.mu.Unlock()
	_, secure := c.nc.(*tls.Conn)
	c.sock.fed = secure && c.sock.now.canAwait()
	// The pion server is not kept: it has nothing to close but this connection.
	if _, err := turn.NewServer(c.control()); err != nil {
		c.end(fmt.Errorf("start the control plane: %w", err))
	}
}

// ReadFrom returns the next request; all else is not for pion. After an error the connection is over. It
// waits here most of the time, so it does nothing else, and what requests need is not on its stack.
func (c *conn) ReadFrom(p []byte) (int, net.Addr, error) {
	if c.stream != nil {
		return c.over(c.splice())
	}
	frame, err := c.next()
	if err != nil {
		return c.over(err)
	}
	return c.handOver(p, frame)
}

func (c *conn) over(err error) (int, net.Addr, error) {
	c.end(err)
	return 0, nil, err
}

// handOver gives pion a request.
func (c *conn) handOver(p []byte, frame Frame) (int, net.Addr, error) {
	c.deletes.Store(false)
	c.request, c.signer, c.wish, c.verdict, c.refusal, c.taken = frame, signer{}, wish{}, 0, 0, false
	if c.bindsAtOnce() {
		return c.over(c.splice())
	}
	n := copy(p, c.shown(frame))
	c.request = p[:n]
	return n, c.nc.RemoteAddr(), nil
}

// setIdleDeadline gives a client without an allocation a time for its next request that is signed by a
// user; Binding keeps nothing alive. An allocation ends by its own lifetime. The caller holds mu.
func (c *conn) setIdleDeadline() {
	var deadline time.Time
	if len(c.flows) == 0 {
		deadline = time.Now().Add(c.srv.cfg.FirstRequestTimeout)
	}
	_ = c.nc.SetReadDeadline(deadline) // fails on a closed connection only
}

// WriteTo sends a response of pion's.
func (c *conn) WriteTo(p []byte, _ net.Addr) (int, error) {
	if c.taken {
		return len(p), nil
	}
	if err := c.send(burst{frames: c.correct(p)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send sends whole frames, or ends the connection. It does not wait for the client.
func (c *conn) send(b burst) error {
	err := c.out.send(b)
	if err != nil {
		c.hangUp(noData(err))
	}
	return err
}

// hangUp closes the connection, which ends the goroutine that reads it. The first reason counts.
func (c *conn) hangUp(reason error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = reason
		if len(c.flows) > 0 {
			c.lastTCP = readTCPInfo(c.sock.Conn) // the allocation's end comes after the socket's
		}
	}
	nc := c.nc
	c.mu.Unlock()
	_ = nc.Close()
}

// end is the last act of the goroutine that reads.
func (c *conn) end(reason error) {
	c.ending.Do(func() {
		c.hangUp(reason)
		c.log.Debug("disconnected", "reason", c.reason)
		c.tellEnd(c.reason)
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
