package turntcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// An entrance is what connections of a listener begin with, in this order.
type entrance struct {
	proxied bool        // a PROXY header; by the connection's source
	auto    bool        // TLS or TURN: the first byte tells
	secure  *tls.Config // TLS; nil for plain TURN
}

// immediate tells that there is nothing to wait for.
func (e entrance) immediate() bool { return !e.proxied && e.secure == nil }

// open reads what a connection begins with, within its time, and then serves.
func (c *conn) open(e entrance) {
	err := c.enter(e)
	<-c.srv.handshakes
	if err != nil {
		c.end(err)
		return
	}
	c.serve()
}

func (c *conn) enter(e entrance) error {
	ctx, cancel := context.WithTimeout(c.srv.stop, c.srv.cfg.HandshakeTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	_ = c.sock.SetReadDeadline(deadline) // fails on a closed connection only
	if e.proxied {
		if err := c.meetBalancer(); err != nil {
			return err
		}
	}
	if err := c.srv.claim(c); err != nil {
		return err
	}
	if e.auto {
		first, err := peekByte(c.sock.Conn)
		if err != nil {
			return noEntrance(reasonOf(err), "first byte", err)
		}
		if first != recordHandshake {
			e.secure = nil
		}
	}
	c.prepare(e.secure)
	if secure, ok := c.nc.(*tls.Conn); ok {
		if err := secure.HandshakeContext(ctx); err != nil {
			return noEntrance(ClosedTLS, "TLS handshake", err)
		}
		// TLS is a stream, and a frame costs less CPU in a record that others share. But coturn's turnutils_uclient takes what a
		// record brings for one message and loses the others. It names no server (SNI), and browsers do.
		c.out.joins = secure.ConnectionState().ServerName != ""
	}
	return nil
}

// meetBalancer reads a PROXY header.
func (c *conn) meetBalancer() error {
	if err := c.awaitBalancer(); err != nil {
		return err
	}
	announced, err := readProxyHeader(c.sock)
	switch {
	case err != nil:
		return noEntrance(ClosedProxyHeader, "PROXY header", err)
	case !announced.IsValid():
		return c.awaitBalancer()
	}
	c.announce(announced)
	return nil
}

// awaitBalancer waits for a byte of a load balancer that has announced nobody. Many only look in this way whether
// we are there.
func (c *conn) awaitBalancer() error {
	_, err := peekByte(c.sock.Conn)
	if err == nil || err == errNoPeek {
		return nil
	}
	return noEntrance(ClosedHealthCheck, "for nobody", err)
}

// recordHandshake is the first byte of TLS (RFC 8446 section 5.1). No STUN message of a method that
// there is begins with it, and no ChannelData.
const recordHandshake = 0x16

// announce labels the connection with the address that a PROXY header had.
func (c *conn) announce(from netip.AddrPort) {
	c.announced = from
	c.log = c.log.With("announced", from)
}

// label is the address that limits by address count.
func (c *conn) label() netip.Addr {
	if c.announced.IsValid() {
		return c.announced.Addr()
	}
	if a, ok := c.sock.RemoteAddr().(*net.TCPAddr); ok {
		return plain(a.AddrPort().Addr())
	}
	return netip.Addr{}
}

// claim counts the connection as one of its address, or says that there are too many.
func (s *Server) claim(c *conn) error {
	if s.cfg.MaxConnectionsPerIP <= 0 {
		return nil
	}
	label := c.label()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perIP[label] >= s.cfg.MaxConnectionsPerIP {
		return because(ClosedAddressFull, fmt.Errorf("%d connections of %v are the limit", s.cfg.MaxConnectionsPerIP, label))
	}
	s.perIP[label]++
	c.claimed = true
	return nil
}

// unclaim is part of untrack. The caller holds mu.
func (s *Server) unclaim(c *conn) {
	if !c.claimed {
		return
	}
	label := c.label()
	if s.perIP[label]--; s.perIP[label] <= 0 {
		delete(s.perIP, label)
	}
}

// fromProxy tells whether a connection must begin with a PROXY header.
func (s *Server) fromProxy(nc net.Conn) bool {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	from := plain(a.AddrPort().Addr())
	for _, p := range s.cfg.ProxyProtocolFrom {
		if plainPrefix(p).Contains(from) {
			return true
		}
	}
	return false
}

// A peekable lets the first byte be looked at where the system does not.
type peekable struct {
	net.Conn
	held []byte
}

func (p *peekable) peek() (byte, error) {
	if len(p.held) > 0 {
		return p.held[0], nil
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(p.Conn, first); err != nil {
		return 0, err
	}
	p.held = first
	return first[0], nil
}

func (p *peekable) Read(b []byte) (int, error) {
	if len(p.held) == 0 || len(b) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.held)
	p.held = p.held[n:]
	return n, nil
}

var errNoPeek = errors.New("the connection cannot be looked into")

// peekByte waits for the first byte and leaves it where it is.
func peekByte(nc net.Conn) (byte, error) {
	switch nc := nc.(type) {
	case *peekable:
		return nc.peek()
	case *net.TCPConn:
		return peekTCP(nc)
	}
	return 0, errNoPeek
}

// A ConnInfo says what a connection is.
type ConnInfo struct {
	Connection uint64         // a number of its own, as in the log
	Client     net.Addr       // of the socket: the client's, or that of the proxy before us
	Announced  netip.AddrPort // the client's as a PROXY header had it; zero without one
	Transport  string         // "tcp" or "tls"
	TLSVersion uint16         // tls.VersionTLS13; 0 for tcp
	ServerName string         // that the client asked for (SNI)
	Protocol   string         // agreed on by ALPN
}

func (c *conn) info() ConnInfo {
	i := ConnInfo{Connection: c.id, Client: c.sock.RemoteAddr(), Announced: c.announced, Transport: "tcp"}
	if secure, ok := c.nc.(*tls.Conn); ok {
		state := secure.ConnectionState()
		i.Transport, i.TLSVersion, i.ServerName, i.Protocol = "tls", state.Version, state.ServerName, state.NegotiatedProtocol
	}
	return i
}

// prepare makes the connection ready to be read and written.
func (c *conn) prepare(secure *tls.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	transport := "tcp"
	if secure != nil {
		transport = "tls"
		c.sock.records = new(recordCount)
		c.nc = tls.Server(c.sock, secure)
	}
	c.log = c.log.With("transport", transport)
	c.out = newOutbox(c.nc, c.sock, c.srv.cfg.MaxQueueDelay)
}
