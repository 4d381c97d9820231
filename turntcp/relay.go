package turntcp

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// A relay is the relayed transport address of one allocation (RFC 8656 section 2). For pion it is a
// net.PacketConn that it may close. One goroutine at a time reads it, and another writes.
type relay struct {
	relaySocket
	rs   *relays
	host *relayHost
	port uint16
	told net.Addr // what clients are told: addr, as pion wants it

	// When the relay belongs to an allocation, deliver gets what was received. broke is told if it cannot
	// be read any more although nobody has closed it, and drained when nothing uses it any more after it was closed.
	deliver      func(*inbox)
	deliverAlone func(netip.AddrPort, *letter, int) // of an IPv6 relay
	broke        func(error)
	drained      func()

	closing sync.Once
}

// maxReadErrors in a row end a relay: its socket will not recover.
const maxReadErrors = 16

// ReadFrom is where pion begins to read an allocation's relay, in a goroutine of its own. All that comes from it is ours,
// so that goroutine ends here, without pion's knowing, or reads it instead.
func (r *relay) ReadFrom([]byte) (int, net.Addr, error) {
	if err := r.read(); err != nil {
		r.broke(err)
	}
	runtime.Goexit()
	return 0, nil, nil
}

// Close is what pion does when it has deleted the allocation. It frees the port. The bit goes first: once the
// socket is closed the port may be another's.
func (r *relay) Close() (err error) {
	r.closing.Do(func() {
		r.host.setLive(r.port, false)
		err = r.end()
	})
	return err
}

// gone is called once, when nothing uses the relay any more.
func (r *relay) gone() {
	if r.drained != nil {
		r.drained()
	}
}

func (r *relay) addr() netip.AddrPort { return netip.AddrPortFrom(r.host.public, r.port) }

func (r *relay) isIPv4() bool { return r.host.local.Is4() }

// The rest of a net.PacketConn is not for us: pion sends nothing, because it sees no Send indication.

func (r *relay) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrClosed }
func (r *relay) LocalAddr() net.Addr                   { return r.told }
func (r *relay) SetDeadline(time.Time) error           { return nil }
func (r *relay) SetReadDeadline(time.Time) error       { return nil }
func (r *relay) SetWriteDeadline(time.Time) error      { return nil }
