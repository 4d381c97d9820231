package conformance

import (
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

var dataTests = []Test{
	{"data.send", Must, "RFC 8656 11.2", "a Send indication to a permitted peer becomes a datagram", false, dataSend},
	{"data.send-empty", Must, "RFC 8656 11.2", "a Send indication with empty DATA becomes an empty datagram", false, dataSendEmpty},
	{"data.send-large", Must, "RFC 8656 16", "a Send indication with 60000 bytes is relayed whole", false, dataSendLarge},
	{"data.indication", Must, "RFC 8656 11.3", "a datagram of a permitted peer comes as a Data indication with XOR-PEER-ADDRESS and DATA", false, dataIndication},
	{"data.indication-large", Must, "RFC 8656 16", "a datagram of 60000 bytes comes whole in a Data indication", false, dataIndicationLarge},
	{"data.send-without-data", Must, "RFC 8656 11.2", "a Send indication without DATA is discarded silently", false, dataDiscarded(withoutData)},
	{"data.send-without-peer", Must, "RFC 8656 11.2", "a Send indication without XOR-PEER-ADDRESS is discarded silently", false, dataDiscarded(withoutPeer)},
	{"data.send-malformed-peer", Must, "RFC 8656 11.2", "a Send indication with a malformed XOR-PEER-ADDRESS is discarded silently", false, dataMalformed},
	{"data.send-unknown-attribute", Must, "RFC 8489 6.3.2", "an indication with an unknown attribute that must be understood is discarded silently", false, dataDiscarded(withUnknown)},
	{"data.send-dont-fragment", Must, "RFC 8656 11.2", "a server that does not support DONT-FRAGMENT discards a Send indication that has it", false, dataDontFragment},
	{"data.send-other-family", Must, "RFC 8656 11.2", "a Send indication to a peer of another family than the allocation's is discarded silently", false, dataDiscarded(otherFamily)},
	{"data.icmp", Should, "RFC 8656 11.5", "an ICMP error about a datagram comes as a Data indication with ICMP", false, dataICMP},
}

func (t *T) permitted() (*client, peer) {
	c := t.allocated()
	p := t.peer(c)
	c.permit(p)
	return c, p
}

func dataSend(t *T) {
	c, p := t.permitted()
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

func dataSendEmpty(t *T) {
	c, p := t.permitted()
	c.sendTo(p.addr(), "")
	t.peerGets(p, "")
}

func dataSendLarge(t *T) {
	c, p := t.permitted()
	c.sendTo(p.addr(), payloadOf(60000))
	t.peerGets(p, payloadOf(60000))
}

func dataIndication(t *T) {
	c, p := t.permitted()
	p.send(c.relayed, marker)
	if d := c.gets(marker); d.channel != 0 || d.peer != p.addr() {
		t.fail("from a peer without a channel: want a Data indication with its address, got %s", d.way())
	}
}

func dataIndicationLarge(t *T) {
	c, p := t.permitted()
	p.send(c.relayed, payloadOf(60000))
	c.gets(payloadOf(60000))
}

func withoutData(p peer) []stun.Setter { return []stun.Setter{peerAddress(p.addr())} }

func withoutPeer(peer) []stun.Setter { return []stun.Setter{raw(stun.AttrData, []byte(dropped)...)} }

func withUnknown(p peer) []stun.Setter {
	return []stun.Setter{peerAddress(p.addr()), raw(stun.AttrData, []byte(dropped)...), raw(attrUnknownRequired, 1, 2, 3, 4)}
}

func withDontFragment(p peer) []stun.Setter {
	return []stun.Setter{peerAddress(p.addr()), raw(stun.AttrDontFragment), raw(stun.AttrData, []byte(dropped)...)}
}

func otherFamily(peer) []stun.Setter {
	return []stun.Setter{peerAddress(netip.AddrPortFrom(someIPv6, 1000)), raw(stun.AttrData, []byte(dropped)...)}
}

// dataDiscarded is a test of a Send indication that must go nowhere, and not be answered.
func dataDiscarded(attributes func(peer) []stun.Setter) func(*T) {
	return func(t *T) {
		c, p := t.permitted()
		c.indicate(attributes(p)...)
		c.sendTo(p.addr(), marker)
		t.peerGets(p, marker)
		c.onlyAnswersBinding("a Send indication that must be discarded")
	}
}

func (c *client) indicate(attributes ...stun.Setter) {
	c.send(c.build(append([]stun.Setter{stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication)}, attributes...)...))
}

func dataMalformed(t *T) {
	c, p := t.permitted()
	for _, value := range malformedPeers {
		c.indicate(raw(stun.AttrXORPeerAddress, value...), raw(stun.AttrData, []byte(dropped)...))
	}
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

func dataDontFragment(t *T) {
	other := t.client()
	if _, response := other.do(stun.MethodAllocate, transport(protocolUDP), raw(stun.AttrDontFragment)); response.Type.Class == stun.ClassSuccessResponse {
		t.skip("the server supports DONT-FRAGMENT")
	}
	dataDiscarded(withDontFragment)(t)
}

// dataICMP sends to a port that was just closed.
func dataICMP(t *T) {
	if !t.target.PeerAddress.IsValid() {
		t.skip("needs a peer address")
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.target.PeerAddress, 0)))
	if err != nil {
		t.skip("a socket at the peer address: %v", err)
	}
	closed := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.Close()
	c := t.allocated()
	c.ok(stun.MethodCreatePermission, permissionFor(closed.Addr()))
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		c.sendTo(closed, dropped)
		f, err := c.next(200 * time.Millisecond)
		var m stun.Message
		if err == nil && !f.isChannelData() && stun.Decode(f, &m) == nil && m.Contains(attrICMP) {
			return
		}
	}
	t.notOffered("Send indications to a closed port: nothing comes back")
}
