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

// peerPolicy decides which addresses a relay may send to and take from. It is immutable.
type peerPolicy struct {
	allow []netip.Prefix
	own   []netip.Addr // the host's, without loopback
}

func newPeerPolicy(allow []netip.Prefix, own []netip.Addr) peerPolicy {
	p := peerPolicy{allow: slices.Clone(allow)}
	for i, a := range p.allow {
		p.allow[i] = a.Masked()
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

// plain is the address without the spellings that mean the same: IPv4-mapped and zones.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// refusal says why the address is no peer, or "" if it is one.
func (p *peerPolicy) refusal(a netip.Addr) string {
	a = plain(a)
	if !p.allowed(a) {
		return "not among the allowed peers"
	}
	if r := p.refusedRange(a); r != "" {
		return r
	}
	var room [2]netip.Addr
	for _, v4 := range embeddedIPv4(room[:0], a) {
		if r := p.refusedRange(v4); r != "" {
			return fmt.Sprintf("means %v: %s", v4, r)
		}
	}
	return ""
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

// hostAddrs are the addresses of the host's interfaces.
func hostAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("find the host's own addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, plain(addr))
			}
		}
	}
	return addrs, nil
}
