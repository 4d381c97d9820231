package turntcp

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
)

// A relay is the relayed transport address of one allocation (RFC 8656 section 2). For pion it is a
// net.PacketConn from which nothing ever comes: pion's goroutine that reads it does the work of the
// data plane instead, until the relay is closed. Another goroutine writes.
type relay struct {
	*net.UDPConn
	rs   *relays
	host *relayHost
	port uint16
	told net.Addr // what clients are told: addr, as pion wants it

	// When the relay belongs to an allocation, deliver gets what was received. pion reads the relay
	// until its end; drained is called then, so that somebody can wait for it.
	deliver      func(*inbox)
	deliverAlone func(netip.AddrPort, *letter, int) // of an IPv6 relay
	drained      func()

	batching // what reads and writes need to have at hand
	failures int
	failed   atomic.Bool // it broke, and was not closed

	closing   sync.Once
	abandoned atomic.Bool // closed by us, and pion does not know yet
}

// maxReadErrors in a row end a relay: its socket will not recover.
const maxReadErrors = 16

// ReadFrom delivers the datagrams of the relay until its end. Errors that pass are not reported, and others
// make pion delete the allocation. If that is what closed the relay it does not return: pion would delete once
// more whatever allocation the connection has by then.
func (r *relay) ReadFrom([]byte) (int, net.Addr, error) {
	receive := r.receive
	if !r.isIPv4() {
		receive = r.receiveAlone
	}
	err := receive()
	r.failed.Store(!errors.Is(err, net.ErrClosed))
	if r.drained != nil {
		r.drained()
		r.drained = nil
	}
	if !r.failed.Load() && !r.abandoned.Load() {
		runtime.Goexit()
	}
	return 0, nil, err
}

// Close is what pion does when it has deleted the allocation.
func (r *relay) Close() error { return r.close(false) }

// abandon ends the allocation by ending its relay.
func (r *relay) abandon() { _ = r.close(true) } // it is open, or is being closed

// close frees the port. The bit goes first: once the socket is closed the port may be another's.
func (r *relay) close(abandoned bool) (err error) {
	r.closing.Do(func() {
		r.abandoned.Store(abandoned)
		r.host.setLive(r.port, false)
		err = r.UDPConn.Close()
	})
	return err
}

func (r *relay) addr() netip.AddrPort { return netip.AddrPortFrom(r.host.public, r.port) }

func (r *relay) isIPv4() bool { return r.host.local.Is4() }
