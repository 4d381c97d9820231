//go:build !linux

package turntcp

import (
	"errors"
	"net"
	"net/netip"
)

// A relaySocket is a relay's socket, which a goroutine of its own reads: that of pion.
type relaySocket struct {
	udp  *net.UDPConn
	uses uses // one while it is read
}

// pollers are not needed.
type pollers struct{}

func (*pollers) close() {}

func (s *relaySocket) listen(at netip.AddrPort) (err error) {
	network := "udp4"
	if !at.Addr().Is4() {
		network = "udp6"
	}
	if s.udp, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(at)); err != nil {
		return err
	}
	// Best effort: a refusal leaves the default, which only loses packets sooner.
	_ = s.udp.SetReadBuffer(relayBuffer)
	_ = s.udp.SetWriteBuffer(relayBuffer)
	return nil
}

// read reads the relay until its end. It fails if the socket is broken.
func (r *relay) read() error {
	if !r.uses.begin() {
		return nil
	}
	receive := r.receive
	if !r.isIPv4() {
		receive = r.receiveAlone
	}
	err := receive()
	if r.uses.done() {
		r.gone()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *relay) end() error {
	err := r.udp.Close()
	if r.uses.end() {
		r.gone()
	}
	return err
}
