package proxyfind

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	maxLookups    = 32 // names that a script may ask for
	lookupTimeout = 2 * time.Second
	maxAddresses  = 16
)

// lookup asks the resolver.
func (f *Finder) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if f.Lookup != nil {
		return f.Lookup(ctx, name)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// lookupFor answers a script's question and keeps it for the report. What is asked too much or too
// slow has no address.
func (f *Finder) lookupFor(ctx context.Context, found *Found, name string) (addresses []netip.Addr) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip.Unmap()}
	}
	if len(found.Lookups) == maxLookups || !plausibleHost(name) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	list, err := f.lookup(ctx, name)
	l := Lookup{Name: clip(name)}
	if err != nil {
		l.Error = dnsText(err)
	}
	var words []string
	for _, a := range list[:min(len(list), maxAddresses)] {
		a = a.Unmap().WithZone("")
		if !slices.Contains(addresses, a) {
			addresses, words = append(addresses, a), append(words, a.String())
		}
	}
	l.Addresses = strings.Join(words, ", ")
	found.Lookups = append(found.Lookups, l)
	return addresses
}

// dnsText leaves out what the caller has said: the name, and which server was asked.
func dnsText(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return clip(err.Error())
}

// ownAddresses are those that packets to the outside have as their source: of IPv4, then of IPv6. No
// packet is sent: connecting a UDP socket asks the routing table only.
func ownAddresses() (list []netip.Addr) {
	for _, outside := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // RFC 5737, RFC 3849: nobody's
		conn, err := net.Dial("udp", outside)
		if err != nil {
			continue
		}
		if a, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
			list = append(list, a.Addr().Unmap().WithZone(""))
		}
		conn.Close()
	}
	return list
}
