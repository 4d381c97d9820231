package conformance

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun/v4"
)

// What a test sends. That something is dropped is told by what comes after it on the same way, not by waiting
// for nothing to happen.
const (
	dropped = "this must be dropped"
	marker  = "this is to arrive"
)

// payloadOf is n bytes that do not repeat soon.
func payloadOf(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

// excerpt shows a payload, or how long it is.
func excerpt(payload string) string {
	if len(payload) > 40 {
		return fmt.Sprintf("%d bytes", len(payload))
	}
	return fmt.Sprintf("%q", payload)
}

// A datagram is what came from a peer through the server.
type datagram struct {
	channel uint16 // 0: by a Data indication
	peer    netip.AddrPort
	payload string
}

// way says how it came.
func (d datagram) way() string {
	if d.channel != 0 {
		return fmt.Sprintf("ChannelData %#04x", d.channel)
	}
	return "a Data indication"
}

// receive returns the next data from a peer. Responses are passed over.
func (c *client) receive(wait time.Duration) (datagram, error) {
	end := time.Now().Add(wait)
	for {
		f, err := c.nextData(end)
		if err != nil {
			return datagram{}, err
		}
		if f.isChannelData() {
			return datagram{channel: f.channel(), payload: string(f.payload())}, nil
		}
		m := new(stun.Message)
		if stun.Decode(f, m) != nil || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) || m.Contains(attrICMP) {
			continue
		}
		peer, ok := address(m, stun.AttrXORPeerAddress)
		payload, err := m.Get(stun.AttrData)
		if !ok || err != nil {
			c.t.fail("Data indication: want XOR-PEER-ADDRESS and DATA, got %s", describe(m))
		}
		if !slices.Contains(c.peers, peer) {
			c.t.log("%s   that was from a stranger", c.name)
			continue
		}
		return datagram{peer: peer, payload: string(payload)}, nil
	}
}

// nextData returns what was kept before what is still to come.
func (c *client) nextData(end time.Time) (frame, error) {
	if len(c.data) > 0 {
		f := c.data[0]
		c.data = c.data[1:]
		return f, nil
	}
	return c.next(time.Until(end))
}

// gets fails the test unless the next data from a peer is this.
func (c *client) gets(payload string) datagram {
	d, err := c.receive(c.t.options.Timeout)
	switch {
	case err == errSilent:
		c.t.fail("a datagram of %d bytes from a peer did not arrive", len(payload))
	case err != nil:
		c.t.fail("awaiting a datagram of %d bytes from a peer: %v", len(payload), err)
	case d.payload != payload:
		c.t.fail("from a peer: want %s, got %s", excerpt(payload), excerpt(d.payload))
	}
	return d
}

// sendChannel sends ChannelData.
func (c *client) sendChannel(number uint16, payload string) {
	c.t.log("%s > ChannelData %#04x, %d bytes", c.name, number, len(payload))
	c.write(channelData(number, []byte(payload)))
}

// sendTo sends a Send indication.
func (c *client) sendTo(peer netip.AddrPort, payload string, more ...stun.Setter) {
	setters := []stun.Setter{stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAddress(peer)}
	setters = append(setters, raw(stun.AttrData, []byte(payload)...))
	c.send(c.build(append(setters, more...)...))
}

// permit installs a permission.
func (c *client) permit(p peer) { c.ok(stun.MethodCreatePermission, permissionFor(p.addr().Addr())) }

// bind binds a channel.
func (c *client) bind(number uint16, p peer) {
	c.ok(stun.MethodChannelBind, channelNumber(number), peerAddress(p.addr()))
}

// A peer is the other end of an allocation.
type peer interface {
	addr() netip.AddrPort
	// send sends a datagram to a relayed address.
	send(to netip.AddrPort, payload string)
	// receive returns the next datagram.
	receive(wait time.Duration) (payload string, err error)
	// renew prolongs what the peer itself needs, in a test that lasts for minutes.
	renew()
}

// peer is a new peer that may exchange datagrams with the client's relayed address.
func (t *T) peer(c *client) peer {
	p := t.newPeer(c)
	c.peers = append(c.peers, p.addr())
	return p
}

func (t *T) newPeer(c *client) peer {
	if !t.target.PeerAddress.IsValid() || !c.relayed.Addr().Is4() {
		return t.relayedPeer(c)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.target.PeerAddress, 0)))
	if err != nil {
		t.skip("a socket at the peer address: %v", err)
	}
	_ = conn.SetReadBuffer(1 << 20)
	t.onClose(func() { conn.Close() })
	return &socketPeer{t, conn, c.relayed.Port()}
}

// A socketPeer hears the relay alone. On a busy machine others probe its port, too; of the relay it knows the
// port, for behind a NAT the address may be another than the one that clients are told.
type socketPeer struct {
	t    *T
	conn *net.UDPConn
	from uint16
}

func (p *socketPeer) addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *socketPeer) renew() {}

func (p *socketPeer) send(to netip.AddrPort, payload string) {
	p.t.log("peer > %d bytes", len(payload))
	if _, err := p.conn.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		p.t.skip("the peer's socket: %v", err)
	}
}

func (p *socketPeer) receive(wait time.Duration) (string, error) {
	_ = p.conn.SetReadDeadline(p.t.until(wait))
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return "", plain(err)
		}
		p.t.log("peer < %d bytes", n)
		if from.Port() == p.from {
			return string(buf[:n]), nil
		}
		p.t.log("peer   that was from a stranger")
	}
}

// A relayedPeer is a second allocation on the same server.
type relayedPeer struct {
	*client
	permitted netip.Addr
}

func (p relayedPeer) renew() {
	p.refreshed()
	p.ok(stun.MethodCreatePermission, permissionFor(p.permitted))
}

func (t *T) relayedPeer(c *client) peer {
	other := t.client()
	f := byte(familyIPv4)
	if !c.relayed.Addr().Is4() {
		f = familyIPv6
	}
	attributes := []stun.Setter{transport(protocolUDP)}
	if f == familyIPv6 {
		attributes = append(attributes, family(f))
	}
	other.granted(other.ok(stun.MethodAllocate, attributes...))
	other.ok(stun.MethodCreatePermission, permissionFor(c.relayed.Addr()))
	other.peers = append(other.peers, c.relayed)
	return relayedPeer{other, c.relayed.Addr()}
}

func (p relayedPeer) addr() netip.AddrPort                   { return p.relayed }
func (p relayedPeer) send(to netip.AddrPort, payload string) { p.sendTo(to, payload) }
func (p relayedPeer) receive(wait time.Duration) (string, error) {
	d, err := p.client.receive(wait)
	return d.payload, err
}

// peerGets fails the test unless the next datagram of the peer is this.
func (t *T) peerGets(p peer, payload string) {
	got, err := p.receive(t.options.Timeout)
	switch {
	case err == errSilent:
		t.fail("a datagram of %d bytes did not arrive at the peer", len(payload))
	case err != nil:
		t.fail("the peer, awaiting a datagram of %d bytes: %v", len(payload), err)
	case got != payload:
		t.fail("at the peer: want %s, got %s", excerpt(payload), excerpt(got))
	}
}
