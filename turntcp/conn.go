package turntcp

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// maxServerFrame bounds, in bytes, what a client without an allocation may send in one frame, and
	// anybody in a request.
	maxServerFrame = 4096

	// maxRejected credentials in a row end a connection: who guesses must connect again, and a client
	// gone wrong cannot flood the log. coturn's client tries a wrong password 31 times.
	maxRejected = 64
)

// A conn is an accepted connection. One goroutine reads it, relays its data, and hands its requests to pion. pion
// sees nothing else: it copies each frame three times, cuts datagrams at 1600 bytes, looks at no permission
// of a bound channel and, served by a net.Listener, keeps ChannelData of up to 4 bytes back for ever.
type conn struct {
	srv       *Server
	control   *control
	id        uint64
	tag       tag
	since     time.Time
	log       *slog.Logger
	sock      *socket
	nc        net.Conn // TLS over the socket, or the socket itself; mu guards it until it is prepared
	announced netip.AddrPort
	claimed   bool // as one of its address; the server's lock guards it
	ending    sync.Once
	out       *outbox
	quiet     atomic.Int32 // what the sweep knows of it

	// Of the goroutine that reads, and of pion's while that one waits for it:
	in         intake
	ready      func(fd uintptr) bool // readReady, made once
	arrived    Frame                 // a request that it found
	arrivedErr error                 // or the end
	up         upstream
	*exchange          // nil while there is no request
	rejected   int     // credentials in a row
	stream     *stream // what the connection is for, from the next read on

	deletes atomic.Bool // the last request ends the allocation

	mu      sync.Mutex
	reason  error   // why the connection was hung up
	lastTCP TCPInfo // as it was then
	ended   bool    // there will be no other allocation
	flows   []*flow // the allocation; another while the last one's end is being told
	current atomic.Pointer[flow]
}

// An exchange is what is known about the request that pion works on.
type exchange struct {
	request Frame  // as pion sees it
	signer  signer // who signed it, as it says
	account string // the account of that user
	key     stun.MessageIntegrity
	wish    wish           // of an Allocate request
	verdict stun.ErrorCode // on the request as a whole; 0 if it is acceptable
	refusal stun.ErrorCode // what we refuse it with, if pion has another word for it
	taken   bool           // we answer the request, pion's answer is not sent

	deletion *deletion // the request is ours, not the client's, and so is the answer

	opened    *relay    // for an Allocate request; or
	openedTCP *tcpRelay // if it is for TCP
	reserved  token     // of the port next to it
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, id: s.ids.Add(1), since: time.Now()}
	c.log = s.log.With("connection", c.id, "client", nc.RemoteAddr())
	c.sock = newSocket(nc, s.cfg.WriteTimeout, s.running.Go, func(err error) { c.hangUp(noData(err)) })
	c.nc = c.sock
	c.in = intake{cutter: cutter{limit: maxServerFrame}, size: maxServerFrame}
	c.ready = c.readReady
	c.tag.set(c.id)
	return c
}

// serve reads the connection until its end, in a goroutine of its own: that of the handshake has a large stack.
func (c *conn) serve() {
	c.log.Debug("connected", "server", c.nc.LocalAddr())
	control, err := c.srv.control(c.id)
	if err != nil {
		c.end(err)
		return
	}
	c.control = control
	c.mu.Lock()
	c.setIdleDeadline()
	c.mu.Unlock()
	_, secure := c.nc.(*tls.Conn)
	c.sock.fed = secure && c.sock.now.canAwait()
	c.control.enter(c)
	go c.run() // waited for as part of the connection
}

func (c *conn) run() {
	for c.stream == nil {
		frame, err := c.next()
		if err != nil {
			c.end(err)
			return
		}
		c.ask(frame)
	}
	c.end(c.splice())
}

// ask has a request answered. Who signed it is looked up before it is its turn: that may take its time.
func (c *conn) ask(frame Frame) {
	c.exchange = &exchange{request: frame}
	if name, signed := frame.signedBy(); signed {
		c.lookUp(name)
	}
	c.control.do(c)
	c.exchange = nil
}

// handOver gives pion a request, and returns its length; 0 if it is none for pion.
func (c *conn) handOver(p []byte) int {
	c.deletes.Store(false)
	if c.bindsAtOnce() {
		return 0
	}
	n := copy(p, c.shown(c.request))
	c.request = p[:n]
	return n
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

// answer sends a response of pion's.
func (c *conn) answer(p []byte) error {
	if c.taken {
		return nil
	}
	return c.send(burst{frames: c.correct(p)})
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
		c.leave()
		c.srv.untrack(c)
	})
}

// leave ends the allocation that is left.
func (c *conn) leave() {
	c.mu.Lock()
	c.ended = true
	left := slices.Clone(c.flows)
	c.mu.Unlock()
	for _, f := range left {
		c.control.delete(f)
	}
	if len(left) == 0 && c.control != nil {
		c.control.leave(c)
	}
}
