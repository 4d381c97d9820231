//go:build !linux

package conformance

import (
	"errors"
	"net/netip"
)

func deafListener(netip.Addr) (netip.AddrPort, func(), error) {
	return netip.AddrPort{}, nil, errors.New("only on Linux")
}
