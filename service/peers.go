package service

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// turn are the settings that are the server's own.
func (l *loader) turn() turntcp.Config {
	c := turntcp.Config{
		RelayAddrs: l.relayAddrs(), RelayPorts: l.relayPorts(),
		AllowPeers: l.peers("allow-peer", peerWords), DenyPeers: l.peers("deny-peer", nil),
		InsideOnly: l.truth("inside-only"), OldChannels: l.truth("old-channels"), TCPRelays: l.truth("tcp-relays"),
		ProxyProtocolFrom: l.peers("proxy-protocol-from", nil),

		MaxConnections:      l.number("max-connections", 10000, 1, 1_000_000),
		MaxConnectionsPerIP: l.number("max-connections-per-ip", 0, 0, 1_000_000),
		MaxHandshakes:       l.number("max-handshakes", 512, 1, 1_000_000),
		MaxAllocations:      l.number("max-user-allocations", 0, 0, 1_000_000),
		MaxPermissions:      l.number("max-permissions", 256, 1, 65536),
		MaxChannels:         l.number("max-channels", 256, 1, 16384),
		UserRate:            l.rate("max-user-rate"),
		TotalRate:           l.rate("max-total-rate"),
		MaxCredentialTTL:    l.duration("max-credential-ttl", 0, time.Second, maxTTL),

		// Below, a healthy client would lose data: a scheduler may take as long for itself.
		MaxQueueDelay:       l.duration("max-queue-delay", 200*time.Millisecond, 10*time.Millisecond, 10*time.Second),
		HandshakeTimeout:    l.duration("handshake-timeout", 10*time.Second, 100*time.Millisecond, time.Hour),
		FirstRequestTimeout: l.duration("request-timeout", time.Minute, 100*time.Millisecond, time.Hour),
		WriteTimeout:        l.duration("write-timeout", 10*time.Second, 100*time.Millisecond, time.Hour),
	}
	if c.InsideOnly {
		l.wantInside()
	}
	return c
}

func (l *loader) relayAddrs() (all []turntcp.RelayAddr) {
	if len(l.values["relay-ip"]) == 0 {
		l.missing("relay-ip", "")
	}
	for _, v := range l.values["relay-ip"] {
		a, err := parseRelayAddr(v.text)
		if err != nil {
			l.fail(v, "%w", err)
			continue
		}
		all = append(all, a)
	}
	return all
}

// parseRelayAddr reads ADDRESS, or EXTERNAL/LOCAL as coturn writes it.
func parseRelayAddr(text string) (a turntcp.RelayAddr, err error) {
	external, local, behind := strings.Cut(text, "/")
	if !behind {
		local = external
	}
	public, err1 := parseHost(external)
	own, err2 := parseHost(local)
	switch {
	case err1 != nil || err2 != nil:
		return a, fmt.Errorf("%q: want an address of this host that peers reach, or EXTERNAL/LOCAL", text)
	case public.Is4() != own.Is4():
		return a, fmt.Errorf("%q: one address is IPv4 and the other IPv6", text)
	case public == own:
		return turntcp.RelayAddr{Local: own}, nil
	}
	return turntcp.RelayAddr{Local: own, Public: public}, nil
}

func parseHost(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if a = a.Unmap(); err == nil && (a.IsUnspecified() || a.IsMulticast() || a.Zone() != "") {
		err = fmt.Errorf("%q is not the address of a host", text)
	}
	return a, err
}

// peerWords stand for what nobody should have to write.
var peerWords = map[string]func() []netip.Prefix{"private": turntcp.PrivatePeers, "public": turntcp.PublicPeers}

func (l *loader) peers(name string, words map[string]func() []netip.Prefix) (all []netip.Prefix) {
	for _, v := range l.values[name] {
		if word := words[v.text]; word != nil {
			all = append(all, word()...)
			continue
		}
		p, err := parsePrefix(v.text)
		switch {
		case err != nil && words != nil && !strings.ContainsAny(v.text, ".:"):
			l.fail(v, "%q: want an address range such as 10.20.0.0/16, an address, private or public%s",
				v.text, suggestion(v.text, []string{"private", "public"}))
			continue
		case err != nil:
			l.fail(v, "%w", err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// wantInside refuses an allowed peer that --inside-only would refuse again: only one can be meant.
func (l *loader) wantInside() {
	for _, v := range l.values["allow-peer"] {
		p, err := parsePrefix(v.text)
		if v.text == "public" || err == nil && !turntcp.IsInside(p) {
			l.fail(v, "%q: is of the internet, which inside-only refuses", v.text)
		}
	}
}

// parsePrefix reads a CIDR, or an address, which stands for itself alone. What could mean more than
// was meant is refused.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%q: want an address range such as 10.20.0.0/16, or an address", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q: write it as an IPv4 range", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q: the address has bits beyond /%d; did you mean %v or %v/%d?",
			text, p.Bits(), p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	return p, nil
}
