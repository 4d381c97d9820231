//go:build !linux

package turntcp

import (
	"errors"
	"net"
	"net/netip"
)

// receiveAlone waits for datagrams of an IPv6 relay and delivers them until the socket is closed or
// broken.
func (r *relay) receiveAlone() error {
	l := letters.Get().(*letter)
	defer letters.Put(l)
	for failures := 0; ; {
		n, from, err := r.udp.ReadFromUDPAddrPort(l.buf[:])
		if err == nil {
			failures = 0
			r.deliverAlone(from, l, n)
			continue
		}
		if failures++; errors.Is(err, net.ErrClosed) || failures == maxReadErrors {
			return err
		}
	}
}

// sendOne sends a datagram from an IPv6 relay.
func (r *relay) sendOne(payload []byte, to netip.AddrPort) error {
	_, err := r.udp.WriteToUDPAddrPort(payload, to)
	return err
}
