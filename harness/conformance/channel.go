package conformance

import (
	"net/netip"

	"github.com/pion/stun/v4"
)

var channelTests = []Test{
	{"channel.lowest", Must, "RFC 8656 12", "the lowest channel number, 0x4000, can be bound", false, channelNumberBinds(0x4000)},
	{"channel.highest", Must, "RFC 8656 12", "the highest channel number, 0x4FFF, can be bound", false, channelNumberBinds(0x4FFF)},
	{"channel.too-low", Must, "RFC 8656 12.2", "a channel number below 0x4000 gets 400", false, channelNumberRefused(0, 0x3FFF)},
	{"channel.too-high", Must, "RFC 8656 12.2", "a channel number above 0x4FFF gets 400", false, channelNumberRefused(0x5000, 0x7FFF)},
	{"channel.out-of-range", Must, "RFC 8656 12.2", "a channel number of 0x8000 or above gets 400", false, channelNumberRefused(0x8000, 0xFFFF)},
	{"channel.no-number", Must, "RFC 8656 12.2", "a ChannelBind without CHANNEL-NUMBER gets 400", false, channelNoNumber},
	{"channel.no-peer", Must, "RFC 8656 12.2", "a ChannelBind without XOR-PEER-ADDRESS gets 400", false, channelNoPeer},
	{"channel.malformed-peer", Must, "RFC 8656 12.2", "a ChannelBind with a malformed XOR-PEER-ADDRESS gets 400", false, channelMalformed},
	{"channel.number-taken", Must, "RFC 8656 12.2", "a channel that is bound to another peer gets 400", false, channelNumberTaken},
	{"channel.peer-taken", Must, "RFC 8656 12.2", "a peer that is bound to another channel gets 400", false, channelPeerTaken},
	{"channel.again", Must, "RFC 8656 12.2", "a channel may be bound to its peer again", false, channelAgain},
	{"channel.reserved-bits", Must, "RFC 8656 18.1", "the reserved bits of CHANNEL-NUMBER are ignored", false, channelReserved},
	{"channel.family", Must, "RFC 8656 12.2", "a ChannelBind to a peer of another family than the allocation's gets 443", false, channelFamily},
	{"channel.forbidden", Must, "RFC 8656 12.2", "a ChannelBind to a forbidden peer gets 403", false, channelForbidden},
	{"channel.permits", Must, "RFC 8656 12.2", "a ChannelBind installs a permission for the peer's address", false, channelPermits},
	{"channel.used-down", Must, "RFC 8656 12.7", "what a bound peer sends comes as ChannelData", false, channelDown},
	{"channel.other-port-down", Must, "RFC 8656 12.7", "what another port of a bound peer's address sends comes as a Data indication", false, channelOtherPort},
	{"channel.send-still-works", Must, "RFC 8656 12", "a Send indication to a bound peer is relayed", false, channelSend},
	{"channel.unbound", Must, "RFC 8656 12.6", "ChannelData of a channel that is not bound is discarded silently", false, channelUnbound},
	{"channel.several", Must, "RFC 8656 12", "each of several channels leads to its own peer", false, channelSeveral},
}

func channelNumberBinds(number uint16) func(*T) {
	return func(t *T) {
		c := t.allocated()
		p := t.peer(c)
		c.bind(number, p)
		c.sendChannel(number, marker)
		t.peerGets(p, marker)
	}
}

func channelNumberRefused(numbers ...uint16) func(*T) {
	return func(t *T) {
		c := t.allocated()
		p := t.peer(c)
		for _, n := range numbers {
			t.log("channel %#04x", n)
			c.refused(400, stun.MethodChannelBind, channelNumber(n), peerAddress(p.addr()))
		}
	}
}

func channelNoNumber(t *T) {
	c := t.allocated()
	c.refused(400, stun.MethodChannelBind, peerAddress(t.peer(c).addr()))
}

func channelNoPeer(t *T) { t.allocated().refused(400, stun.MethodChannelBind, channelNumber(channel)) }

func channelMalformed(t *T) {
	c := t.allocated()
	for _, value := range malformedPeers {
		c.refused(400, stun.MethodChannelBind, channelNumber(channel), raw(stun.AttrXORPeerAddress, value...))
	}
}

// beside is another port of the peer's address.
func beside(p peer) netip.AddrPort {
	return netip.AddrPortFrom(p.addr().Addr(), p.addr().Port()^1)
}

func channelNumberTaken(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.refused(400, stun.MethodChannelBind, channelNumber(channel), peerAddress(beside(p)))
	c.sendChannel(channel, marker)
	t.peerGets(p, marker)
}

func channelPeerTaken(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.refused(400, stun.MethodChannelBind, channelNumber(channel+1), peerAddress(p.addr()))
}

func channelAgain(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.bind(channel, p)
	c.sendChannel(channel, marker)
	t.peerGets(p, marker)
}

func channelReserved(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.ok(stun.MethodChannelBind, raw(stun.AttrChannelNumber, channel>>8, channel&0xFF, 0xFF, 0xFF), peerAddress(p.addr()))
	c.sendChannel(channel, marker)
	t.peerGets(p, marker)
}

func channelFamily(t *T) {
	c := t.allocated()
	c.refused(443, stun.MethodChannelBind, channelNumber(channel), peerAddress(netip.AddrPortFrom(someIPv6, 1000)))
}

func channelForbidden(t *T) {
	c := t.allocated()
	peer := netip.AddrPortFrom(t.forbidden(c), 1000)
	c.refused(403, stun.MethodChannelBind, channelNumber(channel), peerAddress(peer))
}

func channelPermits(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.ok(stun.MethodChannelBind, channelNumber(channel), peerAddress(beside(p)))
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

func channelDown(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	p.send(c.relayed, marker)
	if d := c.gets(marker); d.channel != channel {
		t.fail("from a bound peer: want ChannelData %#04x, got %s", channel, d.way())
	}
}

func channelOtherPort(t *T) {
	c := t.allocated()
	bound, other := t.peer(c), t.peer(c)
	c.bind(channel, bound)
	other.send(c.relayed, marker)
	if d := c.gets(marker); d.channel != 0 || d.peer != other.addr() {
		t.fail("from another port of a bound peer: want a Data indication with its address, got %s", d.way())
	}
}

func channelSend(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

func channelUnbound(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.sendChannel(channel+1, dropped)
	c.sendChannel(channel, marker)
	t.peerGets(p, marker)
}

func channelSeveral(t *T) {
	c := t.allocated()
	first, second := t.peer(c), t.peer(c)
	c.bind(channel, first)
	c.bind(channel+1, second)
	c.sendChannel(channel+1, "second")
	c.sendChannel(channel, "first")
	t.peerGets(first, "first")
	t.peerGets(second, "second")
}
