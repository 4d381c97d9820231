package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
)

// A client is one connection to the server, without any cleverness: it sends what it is told.
type client struct {
	t      *T
	name   string // in the trace: "A", "B"
	nc     net.Conn
	frames *frameReader
	data   []frame // that came while a response was awaited
	peers  []netip.AddrPort

	user, password string
	realm          stun.Realm
	nonce          stun.Nonce
	key            stun.MessageIntegrity // nil before the challenge

	allocation
}

// An allocation is what the server granted.
type allocation struct {
	relayed, mapped netip.AddrPort
	lifetime        uint32 // seconds
	token           []byte // of a reservation
}

// client connects.
func (t *T) client() *client {
	nc, err := t.dial("tcp")
	if err == nil && t.target.TLS != nil {
		nc, err = t.secure(nc, t.target.TLS)
	}
	if err != nil {
		t.fail("connect: %v", plain(err))
	}
	return t.over(nc)
}

func (t *T) dial(network string) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(t.ctx, t.until(t.options.Timeout))
	defer cancel()
	return t.target.Dial(ctx, network, t.target.Address)
}

func (t *T) secure(nc net.Conn, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(t.ctx, t.until(t.options.Timeout))
	defer cancel()
	secured := tls.Client(nc, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secured, nil
}

// over makes a client of a connection, which is closed when the test ends.
func (t *T) over(nc net.Conn) *client {
	stop := context.AfterFunc(t.ctx, func() { nc.Close() })
	t.onClose(func() { stop(); nc.Close() })
	t.names++
	return &client{
		t: t, name: string(rune('A' + (t.names-1)%26)), nc: nc, frames: newFrameReader(nc),
		user: t.target.User, password: string(t.target.Password),
	}
}

// write sends bytes as they are. A failure is not told: what the server makes of them shows in what it sends.
func (c *client) write(b []byte) {
	_ = c.nc.SetWriteDeadline(c.t.until(c.t.options.Timeout))
	if _, err := c.nc.Write(b); err != nil {
		c.t.log("%s   write: %s", c.name, plain(err))
	}
}

// send sends a message and traces it.
func (c *client) send(m *stun.Message) {
	c.t.log("%s > %s", c.name, describe(m))
	c.write(m.Raw)
}

// errSilent says that nothing came in time.
var errSilent = errors.New("no answer")

// next returns the next frame. The error is errSilent, or says how the stream ended, in words that are the same
// in every run.
func (c *client) next(wait time.Duration) (frame, error) {
	_ = c.nc.SetReadDeadline(c.t.until(wait))
	f, err := c.frames.next()
	if err != nil {
		return nil, plain(err)
	}
	c.t.log("%s < %s", c.name, describeFrame(f))
	return f, nil
}

var errClosed = errors.New("the server closed the connection")

// plain takes out of an error what differs from run to run.
func plain(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return errClosed
	}
	return err
}

// await returns the response to a request. Data that comes first is kept for receive.
func (c *client) await(id [stun.TransactionIDSize]byte) (*stun.Message, error) {
	end := time.Now().Add(c.t.options.Timeout)
	for {
		f, err := c.next(time.Until(end))
		if err != nil {
			return nil, err
		}
		m := new(stun.Message)
		switch {
		case f.isChannelData():
			c.keep(f)
		case stun.Decode(f, m) != nil:
		case m.Type.Class == stun.ClassIndication:
			c.keep(f)
		case m.TransactionID == id:
			return m, nil
		}
	}
}

// maxKept bounds the frames that are kept: no test has that many.
const maxKept = 1000

func (c *client) keep(f frame) {
	if len(c.data) == maxKept {
		c.t.fail("%d messages with data came where a response was awaited", maxKept)
	}
	c.data = append(c.data, f)
}

// build makes a message.
func (c *client) build(setters ...stun.Setter) *stun.Message {
	m, err := stun.Build(setters...)
	if err != nil {
		c.t.fail("build a message: %v", err) // the test is wrong
	}
	return m
}

// unsigned is a request without credentials.
func (c *client) unsigned(method stun.Method, attributes ...stun.Setter) *stun.Message {
	return c.build(append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)...)
}

// signed is a request with the credentials that the client has.
func (c *client) signed(method stun.Method, attributes ...stun.Setter) *stun.Message {
	setters := []stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}
	setters = append(setters, attributes...)
	return c.build(append(setters, stun.NewUsername(c.user), c.realm, c.nonce, c.key)...)
}

// answer sends a request and returns the response, whichever. None fails the test.
func (c *client) answer(m *stun.Message) *stun.Message {
	c.send(m)
	response, err := c.await(m.TransactionID)
	if err != nil {
		c.t.fail("%s: %v", request(m), err)
	}
	return response
}

// login gets a challenge (RFC 8489 section 9.2.3.1) and takes it.
func (c *client) login() *client {
	m := c.unsigned(stun.MethodAllocate, transport(protocolUDP))
	response := c.answer(m)
	if errorCode(response) != 401 || !c.take(response) {
		c.t.fail("%s without credentials: want error 401 with REALM and NONCE, got %s", request(m), outcome(response))
	}
	return c
}

// take keeps the realm and nonce of a challenge.
func (c *client) take(m *stun.Message) bool {
	if c.realm.GetFrom(m) != nil || c.nonce.GetFrom(m) != nil {
		return false
	}
	c.key = stun.NewLongTermIntegrity(c.user, c.realm.String(), c.password)
	return true
}

// as makes the client another user from now on.
func (c *client) as(user, password string) {
	c.user, c.password = user, password
	c.key = stun.NewLongTermIntegrity(user, c.realm.String(), password)
}

// do sends a signed request and returns the request and its response. A stale nonce is replaced, once.
func (c *client) do(method stun.Method, attributes ...stun.Setter) (m, response *stun.Message) {
	if c.key == nil {
		c.login()
	}
	m = c.signed(method, attributes...)
	response = c.answer(m)
	if errorCode(response) == 438 && c.take(response) {
		m = c.signed(method, attributes...)
		response = c.answer(m)
	}
	return m, response
}

// ok sends a signed request that must succeed.
func (c *client) ok(method stun.Method, attributes ...stun.Setter) *stun.Message {
	m, response := c.do(method, attributes...)
	if response.Type.Class != stun.ClassSuccessResponse {
		c.t.fail("%s: want success, got %s", request(m), outcome(response))
	}
	return response
}

// refused sends a signed request that must be refused with the code.
func (c *client) refused(code int, method stun.Method, attributes ...stun.Setter) *stun.Message {
	m, response := c.do(method, attributes...)
	c.wantError(m, response, code)
	return response
}

func (c *client) wantError(m, response *stun.Message, code int) {
	if errorCode(response) != code {
		c.t.fail("%s: want error %d, got %s", request(m), code, outcome(response))
	}
}

// allocated is a client with an allocation.
func (t *T) allocated(attributes ...stun.Setter) *client {
	c := t.client()
	c.granted(c.ok(stun.MethodAllocate, append([]stun.Setter{transport(protocolUDP)}, attributes...)...))
	return c
}

// granted keeps what an Allocate response says.
func (c *client) granted(m *stun.Message) {
	if m.Type.Class != stun.ClassSuccessResponse {
		c.t.fail("Allocate: want success, got %s", outcome(m))
	}
	var ok bool
	if c.relayed, ok = address(m, stun.AttrXORRelayedAddress); !ok {
		c.t.fail("Allocate success: want XOR-RELAYED-ADDRESS, got none that is valid")
	}
	if c.mapped, ok = address(m, stun.AttrXORMappedAddress); !ok {
		c.t.fail("Allocate success: want XOR-MAPPED-ADDRESS, got none that is valid")
	}
	if c.lifetime, ok = seconds(m); !ok {
		c.t.fail("Allocate success: want LIFETIME, got none that is valid")
	}
	c.token, _ = m.Get(stun.AttrReservationToken)
}
