package turntcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
)

// ClientConfig says who a Client is and where its data goes. The zero value can ask for a Binding.
type ClientConfig struct {
	Username string
	Password string // never shown

	// OnData gets every datagram that a peer sent, in order, from the goroutine that reads; while it
	// runs nothing else is received, and it must not call Close or wait for a transaction. A train
	// that arrived together is handed over in one go, each datagram as soon as it is cut out.
	OnData func(Data)

	// OnDone is called once when the client has ended, with Err's error, by the goroutine that reads.
	// It must not call Close. It may be nil.
	OnDone func(error)

	// ReadBuffer is the most that is read in one system call, in bytes, and the largest frame that is
	// received; larger ones are counted by Dropped. Default is MaxFrame, 64 KiB.
	ReadBuffer int

	// WriteTimeout is after how long a write that does not get through ends the client. Default is
	// 10 s; it is exact to a factor of two, since it is set anew only when half has gone by.
	WriteTimeout time.Duration

	// Socket is that of the connection, if what is written to the connection goes to the socket as it is:
	// not through TLS. It makes WriteNow possible. Default is none.
	Socket syscall.RawConn

	// Timeout is for one transaction, besides its context. Default is 39.5 s, the Ti of RFC 8489
	// section 6.2.2.
	Timeout time.Duration
}

// String is the user name; it keeps the password out of logs.
func (c ClientConfig) String() string { return "TURN client of " + c.Username }

// GoString is String.
func (c ClientConfig) GoString() string { return c.String() }

// Data is what a peer sent. Payload is valid during the call only.
type Data struct {
	Channel uint16         // 0 if it came as a Data indication
	Peer    netip.AddrPort // zero if it came by a channel that Bind has not bound
	Payload []byte
}

// A Client speaks TURN on one connection, for which it may have one allocation. All methods may be
// called by any number of goroutines; transactions are pipelined. It does not refresh by itself:
// allocations live for their Lifetime, permissions 5 minutes, channels 10 (RFC 8656).
type Client struct {
	cfg    ClientConfig
	conn   net.Conn
	frames *FrameReader
	done   chan struct{} // closed when the reader has ended

	writing  sync.Mutex
	scratch  []byte
	deadline time.Time // of writes, as set last
	now      immediate

	mu       sync.Mutex
	err      error // why it ended
	auth     longTerm
	pending  map[transactionID]chan<- *stun.Message
	channels atomic.Pointer[[]netip.AddrPort] // by number, from firstChannel; replaced, never changed
}

type transactionID = [stun.TransactionIDSize]byte

// NewClient returns a Client that owns the connection and a goroutine that reads it. Both last until
// Close, or until the connection fails.
func NewClient(conn net.Conn, cfg ClientConfig) *Client {
	cfg.WriteTimeout = orDefault(cfg.WriteTimeout, 10*time.Second)
	cfg.Timeout = orDefault(cfg.Timeout, 39500*time.Millisecond)
	if cfg.OnData == nil {
		cfg.OnData = func(Data) {}
	}
	c := &Client{
		cfg:     cfg,
		conn:    conn,
		frames:  NewFrameReader(conn, cfg.ReadBuffer),
		done:    make(chan struct{}),
		pending: make(map[transactionID]chan<- *stun.Message),
	}
	c.channels.Store(new([]netip.AddrPort))
	c.now.send = func(fd uintptr) { c.now.n, c.now.err = sendNow(fd, c.now.frames) }
	go c.read()
	return c
}

// ErrClosed is why a Client ended that was closed.
var ErrClosed = errors.New("turn client closed")

// Close closes the connection and waits for the reader. The server then deletes the allocation;
// Refresh with 0 before makes sure. It may be called twice.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}

// Done is closed when the client has ended; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the client ended: ErrClosed, io.EOF if the server closed the connection, or what went
// wrong. It is nil while the client lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Dropped counts the frames that were larger than ReadBuffer.
func (c *Client) Dropped() uint64 { return c.frames.Dropped() }

func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	_ = c.conn.Close()
}

func (c *Client) read() {
	defer close(c.done)
	for {
		frame, err := c.frames.ReadFrame()
		if err != nil {
			if err != io.EOF {
				err = fmt.Errorf("read from TURN server: %w", err)
			}
			c.fail(err)
			if c.cfg.OnDone != nil {
				c.cfg.OnDone(c.Err())
			}
			return
		}
		c.receive(frame)
	}
}

func (c *Client) receive(frame Frame) {
	if frame.IsChannelData() {
		number := frame.Channel()
		c.cfg.OnData(Data{Channel: number, Peer: c.channelPeer(number), Payload: frame.Payload()})
		return
	}
	switch class := frame.messageType() & classMask; {
	case frame.messageType() == typeDataIndication:
		if peer, payload, ok := parseIndication(frame); ok {
			c.cfg.OnData(Data{Peer: peer, Payload: payload})
		}
	case class == classSuccess, class == classError:
		c.respond(frame)
	}
}

// respond hands a response to the transaction that waits for it. One that nobody waits for came
// after its context had ended.
func (c *Client) respond(frame Frame) {
	m := new(stun.Message)
	if stun.Decode(frame, m) != nil {
		return
	}
	c.mu.Lock()
	waiting := c.pending[m.TransactionID]
	delete(c.pending, m.TransactionID)
	c.mu.Unlock()
	if waiting != nil {
		waiting <- m // has room for the one response
	}
}

// WriteFrames writes frames made by AppendChannelData, in one call of the connection's Write. It
// takes any number of whole frames; with part of one the server loses track of the stream.
func (c *Client) WriteFrames(frames []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(frames)
}

// WriteChannel sends a datagram to the peer of a channel.
func (c *Client) WriteChannel(number uint16, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.scratch = AppendChannelData(c.scratch[:0], number, payload)
	return c.write(c.scratch)
}

// Send sends a datagram of up to 65000 bytes to a peer in a Send indication (RFC 8656 section
// 11.1). The peer needs a permission; the server drops the datagram without a word otherwise.
func (c *Client) Send(peer netip.AddrPort, payload []byte) error {
	if len(payload) > maxSend {
		return fmt.Errorf("send to %v: %d bytes are more than a Send indication takes", peer, len(payload))
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.scratch = appendIndication(c.scratch[:0], typeSendIndication, peer, payload)
	return c.write(c.scratch)
}

// write is called with writing held. What is written in part leaves the stream in disorder, so an
// error ends the client.
func (c *Client) write(b []byte) error {
	err := c.extendDeadline()
	if rest := c.now.rest; err == nil && len(rest) > 0 {
		c.now.rest = rest[:0]
		_, err = c.conn.Write(rest)
	}
	if err == nil && len(b) > 0 {
		_, err = c.conn.Write(b)
	}
	if err == nil {
		return nil
	}
	c.fail(fmt.Errorf("write to TURN server: %w", err))
	return c.Err()
}

// extendDeadline sets the deadline once in a while, because that costs as much as a small write.
func (c *Client) extendDeadline() error {
	now := time.Now()
	if c.deadline.Sub(now) > c.cfg.WriteTimeout/2 {
		return nil
	}
	c.deadline = now.Add(c.cfg.WriteTimeout)
	return c.conn.SetWriteDeadline(c.deadline)
}

// transact sends a message and waits for its response.
func (c *Client) transact(ctx context.Context, m *stun.Message) (*stun.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	response := make(chan *stun.Message, 1)
	c.mu.Lock()
	c.pending[m.TransactionID] = response
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.pending, m.TransactionID)
		c.mu.Unlock()
	}()
	if err := c.WriteFrames(m.Raw); err != nil {
		return nil, err
	}
	select {
	case r := <-response:
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no response: %w", context.Cause(ctx))
	case <-c.done:
	}
	select {
	case r := <-response: // the last thing the server said
		return r, nil
	default:
		return nil, c.Err()
	}
}
