package turntcp

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
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
	rs := newRelays([]RelayAddr{{Local: loopback}}, ports, nil)
	for range 3 {
		used := make(map[uint16]*relay)
		for i := range n - 1 {
			r, _, err := rs.open(wish{})
			if err != nil {
				t.Fatalf("relay %d of %d: %v", i, n-1, err)
			}
			if used[r.port] != nil || r.port < ports.Min || r.port > ports.Max || r.port == ports.Min+7 {
				t.Errorf("port %d is in use or beyond %v", r.port, ports)
			}
			used[r.port] = r
		}
		if r, _, err := rs.open(wish{}); err == nil {
			t.Errorf("port %d was given twice", r.port)
		}
		for port, r := range used {
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			if r.host.isLive(port) {
				t.Errorf("port %d lives on", port)
			}
		}
	}
}

// Even ports, and pairs, are found as long as there are any.
func TestRelayEvenPortRangeFills(t *testing.T) {
	const n = 20
	tests := []struct {
		name string
		wish wish
		want int
	}{
		{"even", wish{even: true}, n / 2},
		{"pairs", wish{even: true, reserve: true}, n / 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ports := portsInARow(t, n)
			rs := newRelays([]RelayAddr{{Local: loopback}}, ports, nil)
			defer rs.releaseAll()
			for i := range tt.want {
				r, token, err := rs.open(tt.wish)
				if err != nil {
					t.Fatalf("relay %d of %d: %v", i, tt.want, err)
				}
				defer r.Close()
				if r.port%2 != 0 || (token != [8]byte{}) != tt.wish.reserve {
					t.Errorf("got port %d with token %x", r.port, token)
				}
			}
			if r, _, err := rs.open(tt.wish); err == nil {
				t.Errorf("got port %d as well", r.port)
			}
			left := 0
			for r, _, err := rs.open(wish{}); err == nil; r, _, err = rs.open(wish{}) {
				defer r.Close()
				left++
			}
			if want := n - tt.want; !tt.wish.reserve && left != want || tt.wish.reserve && left != 0 {
				t.Errorf("%d ports were left", left)
			}
		})
	}
}

// A port is kept for its token, and for 30 s, on which RFC 8656 section 7.2 insists.
func TestReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newRelays([]RelayAddr{{Local: loopback}}, PortRange{20000, 40000}, nil)
		defer rs.releaseAll()
		reserve := func() (uint16, token) {
			r, token, err := rs.open(wish{even: true, reserve: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return r.port + 1, token
		}
		bind := func(port uint16) error {
			u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
			if err == nil {
				u.Close()
			}
			return err
		}
		port, token := reserve()
		time.Sleep(reservationTime - time.Millisecond)
		if bind(port) == nil {
			t.Error("another program could have the port that is reserved")
		}
		r, _, err := rs.open(wish{token: token})
		if err != nil || r.port != port {
			t.Fatalf("got %v, %v, want port %d", r, err, port)
		}
		if r, _, err := rs.open(wish{token: token}); err == nil {
			t.Errorf("a token gave port %d a second time", r.port)
		}
		time.Sleep(time.Minute)
		if bind(port) == nil {
			t.Error("the port was given up although it had been taken")
		}
		r.Close()

		port, token = reserve()
		time.Sleep(reservationTime + time.Millisecond)
		if err := bind(port); err != nil {
			t.Errorf("the port is kept longer than it was reserved: %v", err)
		}
		if r, _, err := rs.open(wish{token: token}); err == nil {
			t.Errorf("an old token gave port %d", r.port)
		}
	})
}

func TestPermits(t *testing.T) {
	one := []RelayAddr{{Local: netip.MustParseAddr("192.0.2.1")}}
	ports := PortRange{49152, 65535}
	rs := newRelays(one, ports, []netip.Addr{netip.MustParseAddr("192.0.2.2")})
	rs.hosts[0].setLive(50000, true)
	rs.hosts[0].setLive(50001, true)
	rs.hosts[0].setLive(50001, false)
	rs.addListening(netip.MustParseAddrPort("[::]:443"))
	rs.addListening(netip.MustParseAddrPort("[::ffff:192.0.2.1]:3478"))
	open := newRelays(one, ports, nil)
	open.hosts[0].selfAllowed = true
	behind := newRelays([]RelayAddr{{Local: netip.MustParseAddr("10.0.0.1"), Public: one[0].Local}}, ports, nil)
	behind.hosts[0].setLive(50000, true)
	behind.addListening(netip.MustParseAddrPort("10.0.0.1:443"))
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
		{behind, "192.0.2.1:50000", true},
		{behind, "192.0.2.1:50001", false},
		{behind, "192.0.2.1:443", false}, // the NAT may forward it
	}
	for _, tt := range tests {
		if got := tt.rs.permits(netip.MustParseAddrPort(tt.addr)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.addr, got, tt.want)
		}
	}
}

// Clients know the relays of a host behind a NAT by its public address, the socket by its own.
func TestBehindNAT(t *testing.T) {
	addr := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	rs := newRelays([]RelayAddr{{Local: addr("10.0.0.1:1").Addr(), Public: addr("192.0.2.1:1").Addr()}}, PortRange{1, 65535}, nil)
	rs.hosts[0].setLive(50000, true)
	tests := []struct{ peer, reach string }{
		{"192.0.2.1:50000", "10.0.0.1:50000"},
		{"198.51.100.1:50000", "198.51.100.1:50000"},
	}
	for _, tt := range tests {
		if got := rs.reach(addr(tt.peer)); got != addr(tt.reach) {
			t.Errorf("%s is reached at %v, want %s", tt.peer, got, tt.reach)
		}
		if got := rs.known(addr(tt.reach)); got != addr(tt.peer) {
			t.Errorf("%s is known as %v, want %s", tt.reach, got, tt.peer)
		}
	}
	if got, want := rs.known(addr("10.0.0.1:50001")), addr("10.0.0.1:50001"); got != want {
		t.Errorf("what is no relay is known as %v", got)
	}
}
