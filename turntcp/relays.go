package turntcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// relayBuffer is asked for each relay socket, in bytes; the kernel grants up to net.core.rmem_max.
// The default holds some 90 packets of 1200 bytes, which is less than one delayed wake-up of a busy
// machine.
const relayBuffer = 1 << 20

// A RelayAddr is an address that relays are opened on.
type RelayAddr struct {
	// Local is an address of this host, that of the sockets.
	Local netip.Addr
	// Public is what clients are told and peers send to, where a one-to-one NAT stands before the host
	// and forwards the relay ports unchanged. Default is Local.
	Public netip.Addr
}

func (a RelayAddr) check() error {
	local, public := plain(a.Local), plain(a.Public)
	switch {
	case !local.IsValid() || local.IsUnspecified():
		return fmt.Errorf("relay address %v is not one address", a.Local)
	case a.Public.IsValid() && (public.IsUnspecified() || public.Is4() != local.Is4()):
		return fmt.Errorf("relay address %v cannot be %v to peers", a.Local, a.Public)
	}
	return nil
}

// relays opens the relay sockets of a server and knows which live.
type relays struct {
	hosts     []*relayHost
	min, max  uint16
	own       []netip.Addr
	listening atomic.Pointer[[]netip.AddrPort]
	translate bool // some host is behind a NAT

	expired func(user string) // is told of a reservation that nobody took

	pollers pollers // that read them

	mu   sync.Mutex
	held map[token]*reservation
}

// A relayHost is one of the addresses, and the ports on it.
type relayHost struct {
	local, public netip.Addr
	selfAllowed   bool // the allowed peers name it, so its ports other than ours are peers, too
	live, tcp     portSet
}

func newRelays(addrs []RelayAddr, ports PortRange, own []netip.Addr) *relays {
	rs := &relays{min: ports.Min, max: ports.Max, own: own, held: make(map[token]*reservation), expired: func(string) {}}
	for _, a := range addrs {
		h := &relayHost{local: plain(a.Local), public: plain(a.Public)}
		if !a.Public.IsValid() {
			h.public = h.local
		}
		rs.hosts = append(rs.hosts, h)
		rs.translate = rs.translate || h.public != h.local
	}
	return rs
}

// errFamily says that there is no relay address of the family asked for.
var errFamily = errors.New("no relay address of this family")

// open returns a relay on any free port: a random one first, as RFC 8656 section 7.2 wants it hard to
// guess, then those after it, so that none is overlooked as the range fills. If the wish is a second
// port, that is kept for whoever has the token.
func (rs *relays) open(w wish) (*relay, token, error) {
	if w.token != (token{}) {
		r, err := rs.take(w.token, w.user)
		return r, token{}, err
	}
	known := false
	first := rand.N(len(rs.hosts))
	for i := range rs.hosts {
		h := rs.hosts[(first+i)%len(rs.hosts)]
		if h.local.Is4() == w.ipv6 {
			continue
		}
		known = true
		r, t, err := rs.openOn(h, w)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return r, t, err
		}
	}
	if !known {
		return nil, token{}, errFamily
	}
	return nil, token{}, fmt.Errorf("no relay port is free within %d-%d", rs.min, rs.max)
}

func (rs *relays) openOn(h *relayHost, w wish) (*relay, token, error) {
	count := int(rs.max) - int(rs.min) + 1
	start := rand.N(count)
	for i := range count {
		port := rs.min + uint16((start+i)%count)
		if h.isLive(port) || w.even && port%2 != 0 || w.reserve && (port == rs.max || h.isLive(port+1)) {
			continue
		}
		r, err := rs.listen(h, port)
		var t token
		if err == nil && w.reserve {
			if t, err = rs.reserve(h, port+1, w.user); err != nil {
				r.Close()
			}
		}
		switch {
		case err == nil:
			h.setLive(port, true)
			return r, t, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, token{}, err
		}
	}
	return nil, token{}, syscall.EADDRINUSE
}

func (rs *relays) listen(h *relayHost, port uint16) (*relay, error) {
	r := &relay{rs: rs, host: h, port: port}
	r.told = net.UDPAddrFromAddrPort(r.addr())
	if err := r.listen(netip.AddrPortFrom(h.local, port)); err != nil {
		return nil, fmt.Errorf("open a relay socket: %w", err)
	}
	return r, nil
}

func (h *relayHost) isLive(port uint16) bool { return h.live.has(port) }

func (h *relayHost) setLive(port uint16, live bool) {
	if live {
		h.live.claim(port)
	} else {
		h.live.release(port)
	}
}

// host is the one that clients and peers know by the address, or nil.
func (rs *relays) host(public netip.Addr) *relayHost {
	for _, h := range rs.hosts {
		if h.public == public {
			return h
		}
	}
	return nil
}

// addListening makes a port of ours unreachable through the relays, whatever is allowed.
func (rs *relays) addListening(addr netip.AddrPort) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	list := []netip.AddrPort{netip.AddrPortFrom(plain(addr.Addr()), addr.Port())}
	if old := rs.listening.Load(); old != nil {
		list = append(list, *old...)
	}
	rs.listening.Store(&list)
}

// RefusePort makes a port of this host unreachable through the relays, whatever is allowed: one that
// serves metrics, or controls this program. Ports that the server listens on are refused anyway.
func (s *Server) RefusePort(addr netip.AddrPort) { s.relays.addListening(addr) }

func (rs *relays) isListening(a netip.AddrPort) bool {
	list := rs.listening.Load()
	if list == nil {
		return false
	}
	for _, l := range *list {
		if l.Port() == a.Port() && (l.Addr() == a.Addr() || rs.isOwn(a.Addr()) && (l.Addr().IsUnspecified() || rs.forwards(a.Addr()))) {
			return true
		}
	}
	return false
}

func (rs *relays) isOwn(a netip.Addr) bool {
	if a.IsLoopback() || rs.host(a) != nil {
		return true
	}
	for _, own := range rs.own {
		if own == a {
			return true
		}
	}
	return false
}

// forwards tells whether a NAT forwards what is sent to the address to one of ours; to which of our
// ports it does is not known.
func (rs *relays) forwards(a netip.Addr) bool {
	h := rs.host(a)
	return h != nil && h.local != h.public
}

// permits is the check per datagram, both ways. Permissions are by address (RFC 8656 section 9) and
// were checked when they were made; what remains is the port. Our own address is permitted for
// the sake of relay to relay, so there the port must be that of a live relay.
func (rs *relays) permits(a netip.AddrPort) bool {
	if a.Port() == 0 || rs.isListening(a) {
		return false
	}
	if h := rs.host(a.Addr()); h != nil {
		return h.selfAllowed || h.isLive(a.Port())
	}
	return true
}

// reach is where a datagram to the peer must be sent: not every NAT sends back what comes from within.
func (rs *relays) reach(peer netip.AddrPort) netip.AddrPort {
	if rs.translate {
		if h := rs.host(peer.Addr()); h != nil {
			return netip.AddrPortFrom(h.local, peer.Port())
		}
	}
	return peer
}

// known is the address by which clients know the peer that a datagram came from.
func (rs *relays) known(from netip.AddrPort) netip.AddrPort {
	if rs.translate {
		for _, h := range rs.hosts {
			if h.local == from.Addr() && h.isLive(from.Port()) {
				return netip.AddrPortFrom(h.public, from.Port())
			}
		}
	}
	return from
}
