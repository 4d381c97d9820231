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
	// until ReadFrom fails; drained is called then, so that somebody can wait for it.
	deliver      func(*inbox)
	deliverAlone func(netip.AddrPort, *letter, int) // of an IPv6 relay
	drained      func()
	conn         *conn

	batching // what reads and writes need to have at hand
	failures int
	failed   atomic.Bool // it broke, and was not closed

	closing sync.Once
}

// maxReadErrors in a row end a relay: its socket will not recover.
const maxReadErrors = 16

// ReadFrom delivers the datagrams of the relay. It returns at the relay's end only, with an error, by
// which pion ends the allocation; errors that pass are not reported.
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
		r.conn.leaveDeleted(err)
	}
	return 0, nil, err
}

// leaveDeleted ends pion's goroutine that reads a relay, where pion has deleted the allocation and so
// closed the relay. If it got the error it would delete once more whatever allocation the connection has
// by then: a client that gives one back and takes another would lose that, too. At the connection's
// end pion only closes the relays, and it is the error that deletes.
func (c *conn) leaveDeleted(err error) {
	if !errors.Is(err, net.ErrClosed) {
		return
	}
	c.mu.Lock()
	stands := c.reason == nil
	c.mu.Unlock()
	if stands {
		runtime.Goexit()
	}
}

// Close frees the port. The bit goes first: once the socket is closed the port may be another's.
func (r *relay) Close() (err error) {
	r.closing.Do(func() {
		r.host.setLive(r.port, false)
		err = r.UDPConn.Close()
	})
	return err
}

func (r *relay) addr() netip.AddrPort { return netip.AddrPortFrom(r.host.public, r.port) }

func (r *relay) isIPv4() bool { return r.host.local.Is4() }
