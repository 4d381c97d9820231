package proxyfind

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// resolve asks for a name once; an address is its own.
func (s *script) resolve(name string) []netip.Addr {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip}
	}
	if known, ok := s.known[name]; ok || name == "" {
		return known
	}
	s.known[name] = s.world.lookup(name)
	return s.known[name]
}

// resolve4 is the first IPv4 address of a name, "" for none.
func (s *script) resolve4(name string) string {
	for _, a := range s.resolve(name) {
		if a.Is4() {
			return a.String()
		}
	}
	return ""
}

// isInNet: the mask's bits of the pattern and of the host's IPv4 address are the same.
func (s *script) isInNet(host, pattern, mask string) bool {
	h, ok := dotted(host)
	if !ok {
		if strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == "" {
			return false // 1.2.3.400 is no name
		}
		if h, ok = dotted(s.resolve4(host)); !ok {
			return false
		}
	}
	p, ok := dotted(pattern)
	m, okMask := dotted(mask)
	return ok && okMask && h&m == p&m
}

// dotted reads four numbers, also with leading zeros, which are decimal here.
func dotted(text string) (address uint32, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return 0, false
	}
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, false
		}
		address = address<<8 | uint32(n)
	}
	return address, true
}

// convertAddr is the number of a dotted address, signed as all of JavaScript's bit operations. Of each
// part the low 8 bits count, missing ones are 0.
func convertAddr(text string) int32 {
	var b [4]byte
	for i, part := range strings.Split(text, ".") {
		if i == len(b) {
			break
		}
		n, _ := strconv.Atoi(part)
		b[i] = byte(n)
	}
	return int32(binary.BigEndian.Uint32(b[:]))
}

func (s *script) myIPAddress() string {
	for _, a := range s.world.addresses {
		if a.Is4() {
			return a.String()
		}
	}
	return "127.0.0.1"
}

func join(list []netip.Addr) string {
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, ";")
}

// isInNetEx takes addresses only, and a prefix such as 10.0.0.0/8 or 2001:db8::/32. IPv4 is the same
// within IPv6.
func isInNetEx(address, prefix string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return false
	}
	if bits := p.Bits() - 96; p.Addr().Is4In6() && bits >= 0 {
		p = netip.PrefixFrom(p.Addr().Unmap(), bits)
	}
	return p.Contains(a.Unmap())
}

// sortAddressList sorts addresses between semicolons, IPv6 first; false if one of them is none.
func sortAddressList(text string) any {
	var list []netip.Addr
	for word := range strings.SplitSeq(text, ";") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		a, err := netip.ParseAddr(word)
		if err != nil {
			return false
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return false
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		if a.Is4() != b.Is4() {
			return b.BitLen() - a.BitLen()
		}
		return a.Compare(b)
	})
	return join(list)
}
