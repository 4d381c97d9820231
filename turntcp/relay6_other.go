//go:build !linux

package turntcp

import (
	"errors"
	"net"
)

// receiveAlone waits for datagrams of an IPv6 relay and delivers them until the socket is closed or
// broken.
func (r *relay) receiveAlone() error {
	l := letters.Get().(*letter)
	defer letters.Put(l)
	for failures := 0; ; {
		n, from, err := r.ReadFromUDPAddrPort(l.buf[:])
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
