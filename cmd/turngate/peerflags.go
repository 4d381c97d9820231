package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/turngate/turngate/harness/loadtest"
)

// peerFlags say that the calls have one end here only.
type peerFlags struct {
	Peer       string `placeholder:"HOST:PORT" help:"The other end of the calls is on another host: turngate peer, or any UDP echo that the TURN server relays to. Delays are then half of the round trip. Default: both ends are here."`
	NoBaseline bool   `help:"Measure nothing without the proxy; what it adds is not known then. With --peer nothing need be reachable without it."`
}

// check says what is wrong with them before anything is started.
func (f *peerFlags) check(path *pathFlags) error {
	if f.Peer == "" {
		return nil
	}
	if !path.named() {
		return usageError{errors.New("--peer is for a TURN server that relays to it: name yours, with --proxy and --turn; a lab's does not")}
	}
	if _, _, err := net.SplitHostPort(f.Peer); err != nil {
		return usageError{fmt.Errorf("--peer: %w", err)}
	}
	return nil
}

func (f *peerFlags) apply(ctx context.Context, lt *loadtest.Test) (err error) {
	lt.NoBaseline = f.NoBaseline
	lt.Peer, err = f.address(ctx)
	return err
}

// address is that of --peer, if there is one.
func (f *peerFlags) address(ctx context.Context) (netip.AddrPort, error) {
	if f.Peer == "" {
		return netip.AddrPort{}, nil
	}
	at, err := net.ResolveUDPAddr("udp", f.Peer)
	if err != nil {
		return netip.AddrPort{}, usageError{fmt.Errorf("--peer: %w", err)}
	}
	a := at.AddrPort()
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
		return a, usageError{fmt.Errorf("--peer %s: want HOST:PORT", f.Peer)}
	}
	return a, nil
}
