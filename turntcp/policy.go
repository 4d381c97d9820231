package turntcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// refusedRanges are never relayed to unless a prefix within them is allowed by name (RFC 8656
// section 21.1.4, RFC 6890): an allowed 0.0.0.0/0 opens the Internet, not the host and its network.
var refusedRanges = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this host"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private network"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private network"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/96"), "this host or IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard"},
	{netip.MustParsePrefix("2001::/32"), "Teredo"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("fc00::/7"), "unique local"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "cloud metadata"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// PrivatePeers are the networks that belong to nobody (RFC 1918, RFC 4193), for Config.AllowPeers.
func PrivatePeers() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"),
	}
}

// PublicPeers are all addresses, for Config.AllowPeers; what is special stays refused.
func PublicPeers() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
}

// peerPolicy decides which addresses a relay may send to and take from. It is immutable.
type peerPolicy struct {
	allow, deny []netip.Prefix
	inside      bool         // nothing of the internet
	own         []netip.Addr // the host's, without loopback
	broadcast   []netip.Addr // of the host's networks
}

func newPeerPolicy(c *Config, own, broadcast []netip.Addr) peerPolicy {
	p := peerPolicy{inside: c.InsideOnly, broadcast: broadcast}
	for _, a := range c.AllowPeers {
		p.allow = append(p.allow, plainPrefix(a))
	}
	for _, d := range c.DenyPeers {
		p.deny = append(p.deny, plainPrefix(d))
	}
	if c.InsideOnly {
		p.allow = append(p.allow, PrivatePeers()...)
	}
	for _, a := range own {
		// Loopback is refused by its range; as an own address it would also be refused to the admin
		// who allows 127.0.0.0/8.
		if a = plain(a); !a.IsLoopback() {
			p.own = append(p.own, a)
		}
	}
	return p
}

// plainPrefix is the prefix without bits beyond it, and as IPv4 if that is what it means.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// plain is the address without the spellings that mean the same: IPv4-mapped and zones.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// refusal says why the address is no peer, or "" if it is one.
func (p *peerPolicy) refusal(a netip.Addr) string {
	a = plain(a)
	if p.denied(a) {
		return "among the denied peers"
	}
	if !p.allowed(a) {
		return "not among the allowed peers"
	}
	if r := p.refusedRange(a); r != "" {
		return r
	}
	var room [2]netip.Addr
	embedded := embeddedIPv4(room[:0], a)
	for _, v4 := range embedded {
		if r := p.refusedRange(v4); r != "" {
			return fmt.Sprintf("means %v: %s", v4, r)
		}
	}
	if p.inside && (!isSpecial(a) || slices.ContainsFunc(embedded, func(v4 netip.Addr) bool { return !isSpecial(v4) })) {
		return "the internet"
	}
	return ""
}

// denied tells whether the address is denied in any spelling.
func (p *peerPolicy) denied(a netip.Addr) bool {
	if len(p.deny) == 0 {
		return false
	}
	for _, spelling := range embeddedIPv4([]netip.Addr{plain(a)}, plain(a)) {
		for _, prefix := range p.deny {
			if prefix.Contains(spelling) {
				return true
			}
		}
	}
	return false
}

// isSpecial tells an address that is not of the internet.
func isSpecial(a netip.Addr) bool {
	for _, r := range refusedRanges {
		if r.prefix.Contains(a) {
			return true
		}
	}
	return false
}

// IsInside tells whether no address of a prefix is of the internet, so that Config.InsideOnly would
// not refuse all or some of it.
func IsInside(prefix netip.Prefix) bool {
	prefix = plainPrefix(prefix)
	for _, r := range refusedRanges {
		if r.prefix.Bits() <= prefix.Bits() && r.prefix.Contains(prefix.Addr()) {
			return true
		}
	}
	return false
}

func (p *peerPolicy) allowed(a netip.Addr) bool {
	for _, prefix := range p.allow {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// refusedRange names the refused range that the address is in, unless the address is allowed by a
// prefix within that range.
func (p *peerPolicy) refusedRange(a netip.Addr) string {
	if slices.Contains(p.own, a) && !p.allowedWithin(a, netip.PrefixFrom(a, a.BitLen())) {
		return "an address of this server"
	}
	if slices.Contains(p.broadcast, a) && !p.allowedWithin(a, netip.PrefixFrom(a, a.BitLen())) {
		return "broadcast"
	}
	for _, r := range refusedRanges {
		if r.prefix.Contains(a) && !p.allowedWithin(a, r.prefix) {
			return r.what
		}
	}
	return ""
}

func (p *peerPolicy) allowedWithin(a netip.Addr, refused netip.Prefix) bool {
	for _, prefix := range p.allow {
		if prefix.Bits() >= refused.Bits() && prefix.Contains(a) {
			return true
		}
	}
	return false
}

// embeddedIPv4 appends the IPv4 addresses that an IPv6 address stands for, where a gateway would turn
// it into them: NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: the server and, inverted, the
// client), ISATAP (RFC 5214) and IPv4-compatible (RFC 4291 section 2.5.5.1).
func embeddedIPv4(to []netip.Addr, a netip.Addr) []netip.Addr {
	if a.Is4() {
		return to
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i:])) }
	switch head := binary.BigEndian.Uint64(b[:]); {
	case head>>32 == 0x0064ff9b, head == 0 && !a.IsLoopback():
		to = append(to, at(12))
	case head>>48 == 0x2002:
		to = append(to, at(2))
	case head>>32 == 0x20010000:
		to = append(to, at(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	case binary.BigEndian.Uint32(b[8:])&^0x02000000 == 0x00005efe:
		to = append(to, at(12))
	}
	return to
}

// hostAddrs are the addresses of the host's interfaces, and the broadcast addresses of their networks.
func hostAddrs() (own, broadcast []netip.Addr, err error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, fmt.Errorf("find the host's own addresses: %w", err)
	}
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		own = append(own, plain(addr))
		if b, ok := broadcastOf(n); ok {
			broadcast = append(broadcast, b)
		}
	}
	return own, broadcast, nil
}

// broadcastOf is the last address of an IPv4 network that is large enough to have one for broadcasts.
func broadcastOf(n *net.IPNet) (netip.Addr, bool) {
	ip := n.IP.To4()
	ones, bits := n.Mask.Size()
	if ip == nil || bits-ones < 2 || bits != 32 {
		return netip.Addr{}, false
	}
	last := [4]byte(ip)
	for i, m := range n.Mask {
		last[i] |= ^m
	}
	return netip.AddrFrom4(last), true
}
