package conformance

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// A pipe is one end of a stream that is relayed (RFC 6062 section 5.5).
type pipe struct {
	t  *T
	nc net.Conn
	r  io.Reader
}

func (p *pipe) write(text string) {
	_ = p.nc.SetWriteDeadline(p.t.until(p.t.options.Timeout))
	p.t.log("stream > %d bytes", len(text))
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.fail("write to a stream: %v", plain(err))
	}
}

// gets fails the test unless these bytes come.
func (p *pipe) gets(text string) {
	_ = p.nc.SetReadDeadline(p.t.until(p.t.options.Timeout))
	b := make([]byte, len(text))
	n, err := io.ReadFull(p.r, b)
	p.t.log("stream < %d bytes", n)
	if got := string(b[:n]); got != text {
		p.t.fail("through a stream: want %s, got %s (%v)", excerpt(text), excerpt(got), plain(err))
	}
}

// ends waits for the end of the stream and reports whether it came.
func (p *pipe) ends(wait time.Duration) bool {
	_ = p.nc.SetReadDeadline(p.t.until(wait))
	n, err := io.Copy(io.Discard, io.LimitReader(p.r, 1<<20))
	p.t.log("stream: %d bytes, then %v", n, plain(orEOF(err)))
	return err == nil || errors.Is(plain(err), errClosed)
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func (p *pipe) close() {
	p.t.log("stream: closed by us")
	p.nc.Close()
}

// allocatedTCP is a client with an allocation that relays TCP.
func (t *T) allocatedTCP() *client {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolTCP))
	if errorCode(response) == 442 {
		t.notOffered("%s TCP: error 442", request(m))
	}
	c.granted(response)
	return c
}

// connect has the server connect to a peer, and returns the connection's id.
func (c *client) connect(peer netip.AddrPort) []byte {
	id, err := c.ok(stun.MethodConnect, peerAddress(peer)).Get(stun.AttrConnectionID)
	if err != nil || len(id) != 4 {
		c.t.fail("Connect success: want CONNECTION-ID, got none that is valid")
	}
	return id
}

// attempt awaits the word of a peer that has connected.
func (c *client) attempt() (id []byte, peer netip.AddrPort) {
	end := time.Now().Add(c.t.options.Timeout)
	for {
		f, err := c.nextData(end)
		if err != nil {
			c.t.fail("a peer has connected: want a ConnectionAttempt indication, got %v", err)
		}
		m := new(stun.Message)
		if f.isChannelData() || stun.Decode(f, m) != nil || m.Type.Method != stun.MethodConnectionAttempt {
			continue
		}
		peer, ok := address(m, stun.AttrXORPeerAddress)
		id, err := m.Get(stun.AttrConnectionID)
		if !ok || err != nil || len(id) != 4 || m.Type.Class != stun.ClassIndication {
			c.t.fail("ConnectionAttempt: want an indication with CONNECTION-ID and XOR-PEER-ADDRESS, got %s", describe(m))
		}
		return id, peer
	}
}

// sibling is another connection of the client's, with the credentials of the first one (RFC 6062 section 4.3).
func (c *client) sibling() *client {
	other := c.t.client()
	other.realm, other.nonce, other.key = c.realm, c.nonce, c.key
	return other
}

// joined is a connection of the client's that is bound to a peer's.
func (c *client) joined(id []byte) *pipe {
	data := c.sibling()
	data.ok(stun.MethodConnectionBind, connectionID(id))
	return &pipe{c.t, data.nc, data.frames.r}
}

func connectionID(id []byte) stun.Setter { return raw(stun.AttrConnectionID, id...) }

// someID is an id that no server gave.
var someID = binary.BigEndian.AppendUint32(nil, 0x00ADBEEF)

// A streamPeer is the other end of an allocation that relays TCP.
type streamPeer interface {
	addr() netip.AddrPort
	// accept returns the connection that the allocation made to the peer, and whose it is as the peer sees it.
	accept() (*pipe, netip.AddrPort)
	// connect connects to a relayed address. Nothing need be there.
	connect(to netip.AddrPort) *pipe
}

// streamPeer is a new peer, to which the client has a permission.
func (t *T) streamPeer(c *client) (p streamPeer) {
	if t.target.PeerAddress.IsValid() {
		p = t.listeningPeer()
	} else {
		other := t.allocatedTCP()
		other.ok(stun.MethodCreatePermission, permissionFor(c.relayed.Addr()))
		p = relayedStreamPeer{other}
	}
	c.ok(stun.MethodCreatePermission, permissionFor(p.addr().Addr()))
	return p
}

type listeningPeer struct {
	t *T
	l *net.TCPListener
}

func (t *T) listeningPeer() *listeningPeer {
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.target.PeerAddress, 0)))
	if err != nil {
		t.skip("a socket at the peer address: %v", err)
	}
	t.onClose(func() { l.Close() })
	return &listeningPeer{t, l}
}

func (p *listeningPeer) addr() netip.AddrPort { return p.l.Addr().(*net.TCPAddr).AddrPort() }

func (p *listeningPeer) accept() (*pipe, netip.AddrPort) {
	_ = p.l.SetDeadline(p.t.until(p.t.options.Timeout))
	nc, err := p.l.AcceptTCP()
	if err != nil {
		p.t.fail("at the peer: want a connection, got %v", plain(err))
	}
	p.t.onClose(func() { nc.Close() })
	return &pipe{p.t, nc, nc}, nc.RemoteAddr().(*net.TCPAddr).AddrPort()
}

func (p *listeningPeer) dial(to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.t.target.PeerAddress, 0)), Timeout: p.t.options.Timeout}
	nc, err := d.DialContext(p.t.ctx, "tcp4", to.String())
	if err == nil {
		p.t.onClose(func() { nc.Close() })
	}
	return nc, err
}

func (p *listeningPeer) connect(to netip.AddrPort) *pipe {
	nc, err := p.dial(to)
	if err != nil {
		p.t.fail("a peer connects to the relayed address: %v", plain(err))
	}
	return &pipe{p.t, nc, nc}
}

// A relayedStreamPeer is a second allocation on the same server.
type relayedStreamPeer struct{ c *client }

func (p relayedStreamPeer) addr() netip.AddrPort { return p.c.relayed }

func (p relayedStreamPeer) accept() (*pipe, netip.AddrPort) {
	id, from := p.c.attempt()
	return p.c.joined(id), from
}

func (p relayedStreamPeer) connect(to netip.AddrPort) *pipe { return p.c.joined(p.c.connect(to)) }
