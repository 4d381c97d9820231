package turntcp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// RFC 6062: an allocation may relay TCP. pion keeps the connections of one server, and here the client's
// connections belong to several, so pion does no more than sign users in: the peers' connections are ours.

// A tcpRelay is the relayed transport address of such an allocation: a listener, and the source of
// connections to peers. For pion it is a net.Listener from which nothing ever comes: pion's goroutine
// that accepts does our work instead, until the relay is closed.
type tcpRelay struct {
	net.Listener
	rs   *relays
	host *relayHost
	port uint16
	told net.Addr

	// Set when the relay belongs to an allocation, before pion accepts.
	deliver func(net.Conn)
	drained func()
	broke   func(error)

	closing sync.Once
}

// openTCP returns a relay on any free port.
func (rs *relays) openTCP(ipv6 bool) (*tcpRelay, error) {
	known := false
	first := rand.N(len(rs.hosts))
	for i := range rs.hosts {
		h := rs.hosts[(first+i)%len(rs.hosts)]
		if h.local.Is4() == ipv6 {
			continue
		}
		known = true
		count := int(rs.max) - int(rs.min) + 1
		start := rand.N(count)
		for i := range count {
			r, err := rs.listenTCP(h, rs.min+uint16((start+i)%count))
			if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
				return r, err
			}
		}
	}
	if !known {
		return nil, errFamily
	}
	return nil, fmt.Errorf("no relay port is free for TCP within %d-%d", rs.min, rs.max)
}

// listenTCP must share its port with the connections that go out from it, so the system would let
// another relay have it, too: the bit says whose it is.
func (rs *relays) listenTCP(h *relayHost, port uint16) (*tcpRelay, error) {
	if !h.tcp.claim(port) {
		return nil, syscall.EADDRINUSE
	}
	// A socket that shares nothing finds out whether another program has the port.
	at := netip.AddrPortFrom(h.local, port)
	probe, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err == nil {
		probe.Close()
		var l net.Listener
		config := net.ListenConfig{Control: sharePort, KeepAlive: -1}
		if l, err = config.Listen(context.Background(), "tcp", at.String()); err == nil {
			r := &tcpRelay{Listener: l, rs: rs, host: h, port: port}
			r.told = net.TCPAddrFromAddrPort(r.addr())
			return r, nil
		}
	}
	h.tcp.release(port)
	return nil, fmt.Errorf("open a relay for TCP: %w", err)
}

// Accept delivers the connections of peers until the relay's end, of which pion hears as relay.ReadFrom has it.
func (r *tcpRelay) Accept() (net.Conn, error) {
	for failures := 0; ; {
		nc, err := r.Listener.Accept()
		if err == nil {
			failures = 0
			r.deliver(nc)
			continue
		}
		if failures++; errors.Is(err, net.ErrClosed) || failures == maxReadErrors {
			if r.drained != nil {
				r.drained()
				r.drained = nil
			}
			if !errors.Is(err, net.ErrClosed) {
				r.broke(err)
			}
			runtime.Goexit()
		}
		time.Sleep(time.Duration(failures) * 5 * time.Millisecond) // out of descriptors, most likely
	}
}

// Close is what pion does when it has deleted the allocation. It frees the port.
func (r *tcpRelay) Close() (err error) {
	r.closing.Do(func() {
		err = r.Listener.Close()
		r.host.tcp.release(r.port)
	})
	return err
}

func (r *tcpRelay) addr() netip.AddrPort { return netip.AddrPortFrom(r.host.public, r.port) }

// dial connects to a peer from the relay's own port, as RFC 6062 section 5.2 demands.
func (r *tcpRelay) dial(ctx context.Context, peer netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.host.local, r.port)),
		Control:   sharePort,
	}
	return d.DialContext(ctx, "tcp", r.rs.reach(peer).String())
}

// permitsTCP is the check for a connection, either way.
func (rs *relays) permitsTCP(a netip.AddrPort) bool {
	if a.Port() == 0 || rs.isListening(a) {
		return false
	}
	if h := rs.host(a.Addr()); h != nil {
		return h.selfAllowed || h.tcp.has(a.Port())
	}
	return true
}

// knownTCP is the address by which clients know the peer that a connection came from.
func (rs *relays) knownTCP(from netip.AddrPort) netip.AddrPort {
	for _, h := range rs.hosts {
		if h.local == from.Addr() && h.tcp.has(from.Port()) {
			return netip.AddrPortFrom(h.public, from.Port())
		}
	}
	return from
}
