package main

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/turn/v5"
)

// bothFamilies are two of pion's generators, of which each knows one address.
type bothFamilies struct {
	ipv4, ipv6 *turn.RelayAddressGeneratorPortRange
}

func newBothFamilies() bothFamilies {
	return bothFamilies{onLoopback(loopback4), onLoopback(loopback6)}
}

func onLoopback(ip netip.Addr) *turn.RelayAddressGeneratorPortRange {
	return &turn.RelayAddressGeneratorPortRange{RelayAddress: ip.AsSlice(), Address: ip.String(), MinPort: 49152, MaxPort: 65535}
}

func (b bothFamilies) of(network string) *turn.RelayAddressGeneratorPortRange {
	if strings.HasSuffix(network, "6") {
		return b.ipv6
	}
	return b.ipv4
}

func (b bothFamilies) Validate() error { return errors.Join(b.ipv4.Validate(), b.ipv6.Validate()) }

func (b bothFamilies) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	return b.of(c.Network).AllocatePacketConn(c)
}

func (b bothFamilies) AllocateListener(c turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return b.of(c.Network).AllocateListener(c)
}

func (b bothFamilies) AllocateConn(c turn.AllocateConnConfig) (net.Conn, error) {
	return b.of(c.Network).AllocateConn(c)
}
