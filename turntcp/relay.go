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

// relays opens the relay sockets of a server and knows which live.
type relays struct {
	ip          netip.Addr
	min, max    uint16
	selfAllowed bool // the allowed peers name ip itself, so its ports other than ours are peers too
	own         []netip.Addr
	live        [1 << 16 / 64]atomic.Uint64 // a bit per port

	mu        sync.Mutex
	listening atomic.Pointer[[]netip.AddrPort]
}

// open returns a relay on the wished port, or on any free one if that is 0: a random one first, as
// RFC 8656 section 7.2 wants it hard to guess, then those after it, so that none is overlooked as the
// range fills.
func (rs *relays) open(wished int) (*relay, error) {
	if wished != 0 {
		if wished < int(rs.min) || wished > int(rs.max) {
			return nil, fmt.Errorf("relay port %d is not within %d-%d", wished, rs.min, rs.max)
		}
		return rs.listen(uint16(wished))
	}
	count := int(rs.max) - int(rs.min) + 1
	start := rand.N(count)
	for i := range count {
		port := rs.min + uint16((start+i)%count)
		if rs.isLive(port) {
			continue
		}
		r, err := rs.listen(port)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return r, err
		}
	}
	return nil, fmt.Errorf("no relay port is free within %d-%d", rs.min, rs.max)
}

func (rs *relays) listen(port uint16) (*relay, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(rs.ip, port)))
	if err != nil {
		return nil, fmt.Errorf("open a relay socket: %w", err)
	}
	// Best effort: a refusal leaves the default, which only loses packets sooner.
	_ = u.SetReadBuffer(relayBuffer)
	_ = u.SetWriteBuffer(relayBuffer)
	r := &relay{UDPConn: u, rs: rs, port: port}
	if err := r.prepare(); err != nil {
		u.Close()
		return nil, fmt.Errorf("open a relay socket: %w", err)
	}
	rs.setLive(port, true)
	return r, nil
}

func (rs *relays) isLive(port uint16) bool {
	return rs.live[port/64].Load()&(1<<(port%64)) != 0
}

func (rs *relays) setLive(port uint16, live bool) {
	if bit := uint64(1) << (port % 64); live {
		rs.live[port/64].Or(bit)
	} else {
		rs.live[port/64].And(^bit)
	}
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

func (rs *relays) isListening(a netip.AddrPort) bool {
	list := rs.listening.Load()
	if list == nil {
		return false
	}
	for _, l := range *list {
		if l.Port() == a.Port() && (l.Addr() == a.Addr() || l.Addr().IsUnspecified() && rs.isOwn(a.Addr())) {
			return true
		}
	}
	return false
}

func (rs *relays) isOwn(a netip.Addr) bool {
	if a == rs.ip || a.IsLoopback() {
		return true
	}
	for _, own := range rs.own {
		if own == a {
			return true
		}
	}
	return false
}

// permits is the check per datagram, both ways. Permissions are by address (RFC 8656 section 9) and
// were checked when they were made; what remains is the port. Our own address is permitted for
// the sake of relay to relay, so there the port must be that of a live relay.
func (rs *relays) permits(a netip.AddrPort) bool {
	switch {
	case a.Port() == 0, rs.isListening(a):
		return false
	case a.Addr() == rs.ip:
		return rs.selfAllowed || rs.isLive(a.Port())
	}
	return true
}

// A relay is the relayed transport address of one allocation (RFC 8656 section 2). For pion it is a
// net.PacketConn from which nothing ever comes: pion's goroutine that reads it does the work of the
// data plane instead, until the relay is closed. Another goroutine writes.
type relay struct {
	*net.UDPConn
	rs   *relays
	port uint16

	// When the relay belongs to an allocation, deliver gets what was received. pion reads the relay
	// until ReadFrom fails; drained is called then, so that somebody can wait for it.
	deliver func(*inbox)
	drained func()

	batching // what reads and writes need to have at hand
	failures int

	closing sync.Once
}

// maxReadErrors in a row end a relay: its socket will not recover.
const maxReadErrors = 16

// ReadFrom delivers the datagrams of the relay. It returns at the relay's end only, with an error, by
// which pion ends the allocation; errors that pass are not reported.
func (r *relay) ReadFrom([]byte) (int, net.Addr, error) {
	err := r.receive()
	if r.drained != nil {
		r.drained()
		r.drained = nil
	}
	return 0, nil, err
}

// Close frees the port. The bit goes first: once the socket is closed the port may be another's.
func (r *relay) Close() (err error) {
	r.closing.Do(func() {
		r.rs.setLive(r.port, false)
		err = r.UDPConn.Close()
	})
	return err
}

func (r *relay) addr() netip.AddrPort { return netip.AddrPortFrom(r.rs.ip, r.port) }
