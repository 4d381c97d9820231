package turntcp

import (
	"net"
	"net/netip"
	"testing"
)

// portsInARow finds a range of which no port is in use.
func portsInARow(t *testing.T, n uint16) PortRange {
	t.Helper()
	for first := uint16(20000); first < 40000; first += n {
		free := true
		for p := first; p < first+n && free; p++ {
			u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, p)))
			if free = err == nil; free {
				u.Close()
			}
		}
		if free {
			return PortRange{first, first + n - 1}
		}
	}
	t.Fatal("no free range")
	return PortRange{}
}

// Every port of the range is used before an allocation is refused, also those next to one that
// another program has, and each is free again afterwards.
func TestRelayPortRangeFills(t *testing.T) {
	const n = 20
	ports := portsInARow(t, n)
	foreign, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, ports.Min+7)))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	rs := &relays{ip: loopback, min: ports.Min, max: ports.Max}
	for range 3 {
		used := make(map[uint16]*relay)
		for i := range n - 1 {
			r, err := rs.open(0)
			if err != nil {
				t.Fatalf("relay %d of %d: %v", i, n-1, err)
			}
			if used[r.port] != nil || r.port < ports.Min || r.port > ports.Max || r.port == ports.Min+7 {
				t.Errorf("port %d is in use or beyond %v", r.port, ports)
			}
			used[r.port] = r
		}
		if r, err := rs.open(0); err == nil {
			t.Errorf("port %d was given twice", r.port)
		}
		for port, r := range used {
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			if rs.isLive(port) {
				t.Errorf("port %d lives on", port)
			}
		}
	}
}

func TestRelayPortWished(t *testing.T) {
	ports := portsInARow(t, 4)
	rs := &relays{ip: loopback, min: ports.Min, max: ports.Max}
	r, err := rs.open(int(ports.Max))
	if err != nil || r.port != ports.Max {
		t.Fatalf("got %v, %v, want port %d", r, err, ports.Max)
	}
	defer r.Close()
	for _, port := range []int{int(ports.Max), int(ports.Max) + 1, int(ports.Min) - 1} {
		if r, err := rs.open(port); err == nil {
			r.Close()
			t.Errorf("port %d was given", port)
		}
	}
}

func TestPermits(t *testing.T) {
	rs := &relays{ip: netip.MustParseAddr("192.0.2.1"), own: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}
	rs.setLive(50000, true)
	rs.setLive(50001, true)
	rs.setLive(50001, false)
	rs.addListening(netip.MustParseAddrPort("[::]:443"))
	rs.addListening(netip.MustParseAddrPort("[::ffff:192.0.2.1]:3478"))
	open := &relays{ip: rs.ip, selfAllowed: true}
	tests := []struct {
		rs   *relays
		addr string
		want bool
	}{
		{rs, "192.0.2.1:50000", true},
		{rs, "192.0.2.1:50001", false},
		{rs, "192.0.2.1:443", false},
		{rs, "192.0.2.2:443", false},
		{rs, "127.0.0.1:443", false},
		{rs, "198.51.100.1:443", true}, // another server's
		{rs, "192.0.2.2:3478", true},
		{rs, "198.51.100.1:0", false},
		{open, "192.0.2.1:50001", true},
	}
	for _, tt := range tests {
		if got := tt.rs.permits(netip.MustParseAddrPort(tt.addr)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.addr, got, tt.want)
		}
	}
}
