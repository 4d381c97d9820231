package conformance

import (
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// RFC 6062: allocations that relay TCP. A server that has none answers 442.
var tcpTests = []Test{
	{"tcp.allocate", Must, "RFC 6062 5.1", "REQUESTED-TRANSPORT TCP gets an allocation, or 442", false, func(t *T) { t.allocatedTCP() }},
	{"tcp.over-udp", Must, "RFC 6062 5.1", "a client that comes by UDP gets no allocation for TCP, but 400", false, tcpOverUDP},
	{"tcp.even-port", Must, "RFC 6062 5.1", "REQUESTED-TRANSPORT TCP together with EVEN-PORT gets 400", false, tcpRefused(evenPort(false))},
	{"tcp.token", Must, "RFC 6062 5.1", "REQUESTED-TRANSPORT TCP together with RESERVATION-TOKEN gets 400", false, tcpToken},
	{"tcp.dont-fragment", Must, "RFC 6062 5.1", "REQUESTED-TRANSPORT TCP together with DONT-FRAGMENT gets 400, or 420 where it is not known", false, tcpDontFragment},
	{"tcp.connect", Must, "RFC 6062 5.2", "Connect connects to the peer from the relayed address, and the response holds CONNECTION-ID", false, tcpConnect},
	{"tcp.connect-relays", Must, "RFC 6062 5.5", "after Connect and ConnectionBind all bytes are relayed both ways as they are", false, tcpConnectRelays},
	{"tcp.connect-again", Must, "RFC 6062 5.2", "a second Connect to the same peer gets 446", false, tcpConnectAgain},
	{"tcp.connect-fails", Must, "RFC 6062 5.2", "a Connect to a closed port gets 447", false, tcpConnectFails},
	{"tcp.connect-forbidden", Must, "RFC 6062 5.2", "a Connect to a forbidden peer gets 403", false, tcpConnectForbidden},
	{"tcp.connect-no-peer", Must, "RFC 6062 5.2", "a Connect without XOR-PEER-ADDRESS gets 400", false, func(t *T) { t.allocatedTCP().refused(400, stun.MethodConnect) }},
	{"tcp.connect-udp", Should, "RFC 6062 5.2", "a Connect on an allocation that relays UDP is refused, not tried", false, tcpConnectUDP},
	{"tcp.connect-no-allocation", Must, "RFC 8656 5", "a Connect without an allocation gets 437", false, tcpNoAllocation},
	{"tcp.connect-waits", Should, "RFC 6062 5.2", "while the server connects to a peer that does not answer, it answers other requests", false, tcpConnectWaits},
	{"tcp.attempt", Must, "RFC 6062 5.3", "a permitted peer's connection is told by ConnectionAttempt with CONNECTION-ID and XOR-PEER-ADDRESS", false, tcpAttempt},
	{"tcp.attempt-relays", Must, "RFC 6062 5.5", "what the peer has sent before ConnectionBind comes after it, and all bytes are relayed both ways", false, tcpAttemptRelays},
	{"tcp.attempt-not-permitted", Must, "RFC 6062 5.3", "the connection of a peer without a permission is closed", false, tcpAttemptNotPermitted},
	{"tcp.bind-own-nonce", Must, "RFC 8489 9.2.4", "a ConnectionBind with the NONCE that its own connection was given is accepted, or gets 438 with one that works", false, tcpBindOwnNonce},
	{"tcp.bind-other-user", Must, "RFC 6062 5.4", "a ConnectionBind by another user than the allocation's is refused", false, tcpBindOtherUser},
	{"tcp.bind-unknown", Must, "RFC 6062 5.4", "a ConnectionBind with an unknown CONNECTION-ID gets 400", false, tcpBindUnknown},
	{"tcp.bind-no-id", Must, "RFC 6062 5.4", "a ConnectionBind without CONNECTION-ID gets 400", false, tcpBindNoID},
	{"tcp.bind-twice", Must, "RFC 6062 5.4", "a second ConnectionBind with the same CONNECTION-ID gets 400", false, tcpBindTwice},
	{"tcp.peer-closes", Must, "RFC 6062 5.5", "where the peer closes, the client's data connection is closed", false, tcpPeerCloses},
	{"tcp.client-closes", Must, "RFC 6062 5.5", "where the client closes its data connection, the peer's is closed", false, tcpClientCloses},
	{"tcp.deleted", Must, "RFC 6062 3", "the end of the allocation closes its data connections", false, tcpDeleted},
}

func tcpOverUDP(t *T) {
	nc, err := t.dial("udp")
	if err != nil {
		t.skip("a UDP socket: %v", plain(err))
	}
	c := t.over(nc)
	m := c.unsigned(stun.MethodAllocate, transport(protocolUDP))
	c.send(m)
	f, err := c.next(min(t.options.Timeout, 1500*time.Millisecond))
	response := new(stun.Message)
	if err != nil || stun.Decode(f, response) != nil || !c.take(response) {
		t.notOffered("the server takes no clients by UDP at this port")
	}
	m, response = c.do(stun.MethodAllocate, transport(protocolTCP))
	if code := errorCode(response); code != 400 && code != 442 {
		t.fail("%s TCP over UDP: want error 400 or 442, got %s", request(m), outcome(response))
	}
}

// tcpRefused is a test of an Allocate for TCP that must be refused for the attribute.
func tcpRefused(attribute stun.Setter) func(*T) {
	return func(t *T) {
		t.allocatedTCP() // is offered
		t.client().refused(400, stun.MethodAllocate, transport(protocolTCP), attribute)
	}
}

// tcpToken has a token that would be good for UDP.
func tcpToken(t *T) {
	t.allocatedTCP()
	t.client().refused(400, stun.MethodAllocate, transport(protocolTCP), t.someToken())
}

func tcpDontFragment(t *T) {
	t.allocatedTCP()
	m, response := t.client().do(stun.MethodAllocate, transport(protocolTCP), raw(stun.AttrDontFragment))
	if code := errorCode(response); code != 400 && code != 420 {
		t.fail("%s: want error 400 or 420, got %s", request(m), outcome(response))
	}
}

func tcpConnect(t *T) {
	c := t.allocatedTCP()
	p := t.streamPeer(c)
	c.connect(p.addr())
	if _, from := p.accept(); from != c.relayed {
		t.log("want %v, got %v", c.relayed, from)
		t.fail("at the peer: the connection is not from the relayed address")
	}
}

// connected is a stream that the client asked for: its end and the peer's.
func (t *T) connected() (c *client, near, far *pipe) {
	c = t.allocatedTCP()
	p := t.streamPeer(c)
	id := c.connect(p.addr())
	far, _ = p.accept()
	return c, c.joined(id), far
}

// streamed is more than any buffer on the way holds at once, and looks like TURN in places.
var streamed = "\x40\x00\x00\x04abcd" + string(magic) + payloadOf(200_000)

var magic = []byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}

func (t *T) relaysBothWays(near, far *pipe) {
	near.write(streamed)
	far.gets(streamed)
	far.write(streamed)
	near.gets(streamed)
}

func tcpConnectRelays(t *T) {
	_, near, far := t.connected()
	t.relaysBothWays(near, far)
}

func tcpConnectAgain(t *T) {
	c := t.allocatedTCP()
	p := t.streamPeer(c)
	c.connect(p.addr())
	c.refused(446, stun.MethodConnect, peerAddress(p.addr()))
}

func tcpConnectFails(t *T) {
	c := t.allocatedTCP()
	c.refused(447, stun.MethodConnect, peerAddress(t.closedTCPPort()))
}

// closedTCPPort is one at the peer address.
func (t *T) closedTCPPort() netip.AddrPort {
	if !t.target.PeerAddress.IsValid() {
		t.skip("needs a peer address")
	}
	p := t.listeningPeer()
	p.l.Close()
	return p.addr()
}

func tcpConnectForbidden(t *T) {
	c := t.allocatedTCP()
	c.refused(403, stun.MethodConnect, peerAddress(netip.AddrPortFrom(t.forbidden(c), 1000)))
}

func tcpConnectUDP(t *T) {
	peer := t.allocatedTCP().relayed // offered, and an address that a peer may have
	m, response := t.allocated().do(stun.MethodConnect, peerAddress(peer))
	switch errorCode(response) { // the RFC names none
	case 400, 403, 437:
	default:
		t.fail("%s: want error 400, 403 or 437, got %s", request(m), outcome(response))
	}
}

func tcpNoAllocation(t *T) {
	peer := t.allocatedTCP().relayed
	t.client().refused(437, stun.MethodConnect, peerAddress(peer))
}

func tcpConnectWaits(t *T) {
	c := t.allocatedTCP()
	peer := t.deafPeer()
	c.send(c.signed(stun.MethodConnect, peerAddress(peer)))
	t.pause(settling)
	c.answersBinding()
}

// deafPeer is an address at which a connection is neither accepted nor refused.
func (t *T) deafPeer() netip.AddrPort {
	if !t.target.PeerAddress.IsValid() {
		t.skip("needs a peer address")
	}
	peer, closing, err := deafListener(t.target.PeerAddress)
	if err != nil {
		t.skip("a peer that does not answer: %v", err)
	}
	t.onClose(closing)
	return peer
}

func tcpAttempt(t *T) {
	c := t.allocatedTCP()
	p := t.streamPeer(c)
	if own, ok := p.(*listeningPeer); ok {
		far := own.connect(c.relayed)
		_, peer := c.attempt()
		if want := far.nc.LocalAddr().(*net.TCPAddr).AddrPort(); peer != want {
			t.log("want %v, got %v", want, peer)
			t.fail("ConnectionAttempt: XOR-PEER-ADDRESS is not the peer's address")
		}
		return
	}
	p.connect(c.relayed)
	if _, peer := c.attempt(); peer != p.addr() {
		t.log("want %v, got %v", p.addr(), peer)
		t.fail("ConnectionAttempt: XOR-PEER-ADDRESS is not the peer's address")
	}
}

func tcpAttemptRelays(t *T) {
	c := t.allocatedTCP()
	far := t.streamPeer(c).connect(c.relayed)
	far.write(marker)
	id, _ := c.attempt()
	near := c.joined(id)
	near.gets(marker)
	t.relaysBothWays(near, far)
}

func tcpAttemptNotPermitted(t *T) {
	if !t.target.PeerAddress.IsValid() {
		t.skip("needs a peer address")
	}
	c := t.allocatedTCP()
	nc, err := t.listeningPeer().dial(c.relayed)
	if plain(err) == errClosed {
		return // at once
	}
	if err != nil {
		t.fail("a peer connects to the relayed address: %v", plain(err))
	}
	far := &pipe{t, nc, nc}
	if !far.ends(t.options.Timeout) {
		t.fail("a peer without a permission connects to the relayed address: the connection stays open")
	}
}

func tcpBindOwnNonce(t *T) {
	c := t.allocatedTCP()
	id := c.connect(t.streamPeer(c).addr())
	t.client().login().ok(stun.MethodConnectionBind, connectionID(id))
}

func tcpBindOtherUser(t *T) {
	t.needsSecondUser()
	c := t.allocatedTCP()
	id := c.connect(t.streamPeer(c).addr())
	other := t.client().login()
	other.as(t.target.SecondUser, string(t.target.SecondPassword))
	m := other.signed(stun.MethodConnectionBind, connectionID(id))
	other.send(m)
	response, err := other.await(m.TransactionID)
	if err == nil && response.Type.Class == stun.ClassSuccessResponse {
		t.fail("%s by another user: want an error, got success", request(m))
	}
	if err == errSilent {
		t.fail("%s by another user: %v", request(m), err)
	}
}

func tcpBindUnknown(t *T) {
	t.allocatedTCP().sibling().refused(400, stun.MethodConnectionBind, connectionID(someID))
}

func tcpBindNoID(t *T) {
	t.allocatedTCP().sibling().refused(400, stun.MethodConnectionBind)
}

func tcpBindTwice(t *T) {
	c := t.allocatedTCP()
	id := c.connect(t.streamPeer(c).addr())
	c.joined(id)
	c.sibling().refused(400, stun.MethodConnectionBind, connectionID(id))
}

func tcpPeerCloses(t *T) {
	_, near, far := t.connected()
	far.close()
	if !near.ends(t.options.Timeout) {
		t.fail("the peer has closed: the client's data connection stays open")
	}
}

func tcpClientCloses(t *T) {
	_, near, far := t.connected()
	near.close()
	if !far.ends(t.options.Timeout) {
		t.fail("the client has closed: the peer's connection stays open")
	}
}

func tcpDeleted(t *T) {
	c, near, far := t.connected()
	c.ok(stun.MethodRefresh, lifetime(0))
	if !near.ends(t.options.Timeout) || !far.ends(t.options.Timeout) {
		t.fail("the allocation is deleted: its data connections stay open")
	}
}
