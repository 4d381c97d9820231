package conformance

import (
	"net/netip"

	"github.com/pion/stun/v4"
)

var ipv6Tests = []Test{
	{"ipv6.allocate", Must, "RFC 8656 7.2", "REQUESTED-ADDRESS-FAMILY IPv6 gets an IPv6 address, or 440", false, func(t *T) { t.allocatedIPv6() }},
	{"ipv6.channel", Must, "RFC 8656 12", "ChannelData is relayed both ways between IPv6 addresses", false, ipv6Channel},
	{"ipv6.indications", Must, "RFC 8656 11", "Send and Data indications are relayed between IPv6 addresses", false, ipv6Indications},
	{"ipv6.permission-family", Must, "RFC 8656 10.2", "a CreatePermission for an IPv4 peer of an IPv6 allocation gets 443", false, ipv6Refused(stun.MethodCreatePermission, permissionFor(someIPv4))},
	{"ipv6.channel-family", Must, "RFC 8656 12.2", "a ChannelBind to an IPv4 peer of an IPv6 allocation gets 443", false, ipv6Refused(stun.MethodChannelBind, channelNumber(channel), peerAddress(netip.AddrPortFrom(someIPv4, 1000)))},
	{"ipv6.refresh-family", Must, "RFC 8656 8.2", "a Refresh with REQUESTED-ADDRESS-FAMILY IPv4 of an IPv6 allocation gets 443", false, ipv6Refused(stun.MethodRefresh, family(familyIPv4))},
}

// someIPv4 is for documentation (RFC 5737).
var someIPv4 = netip.MustParseAddr("192.0.2.1")

func (t *T) allocatedIPv6() *client { return t.allocateFamilyWith(familyIPv6, family(familyIPv6)) }

func ipv6Channel(t *T) {
	c := t.allocatedIPv6()
	p := t.peer(c)
	c.bind(channel, p)
	c.sendChannel(channel, marker)
	t.peerGets(p, marker)
	p.send(c.relayed, marker)
	c.gets(marker)
}

func ipv6Indications(t *T) {
	c := t.allocatedIPv6()
	p := t.peer(c)
	c.permit(p)
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
	p.send(c.relayed, marker)
	if d := c.gets(marker); d.peer != p.addr() {
		t.fail("from a peer: want a Data indication with its address, got %s", d.way())
	}
}

func ipv6Refused(method stun.Method, attributes ...stun.Setter) func(*T) {
	return func(t *T) { t.allocatedIPv6().refused(443, method, attributes...) }
}
