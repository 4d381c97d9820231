package turntcp

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestPeerPolicy(t *testing.T) {
	const everything = "0.0.0.0/0 ::/0"
	tests := []struct {
		allow string
		peer  string
		want  string // part of the refusal; "" for a peer that is permitted
	}{
		// Nothing is allowed unless it is named.
		{"", "8.8.8.8", "not among the allowed"},
		{"", "127.0.0.1", "not among the allowed"},
		{"8.8.8.0/24", "8.8.8.8", ""},
		{"8.8.8.0/24", "8.8.9.8", "not among the allowed"},
		{"8.8.8.77/24", "8.8.8.8", ""},

		// Everything does not mean what is special.
		{everything, "8.8.8.8", ""},
		{everything, "2600::1", ""},
		{everything, "0.0.0.0", "this host"},
		{everything, "0.1.2.3", "this host"},
		{everything, "10.1.2.3", "private"},
		{everything, "100.64.0.1", "carrier-grade"},
		{everything, "127.0.0.1", "loopback"},
		{everything, "127.255.0.1", "loopback"},
		{everything, "169.254.1.1", "link-local"},
		{everything, "169.254.169.254", "link-local"},
		{everything, "172.16.0.1", "private"},
		{everything, "172.31.255.255", "private"},
		{everything, "172.32.0.1", ""},
		{everything, "192.168.1.1", "private"},
		{everything, "198.18.0.1", "benchmarking"},
		{everything, "224.0.0.1", "multicast"},
		{everything, "239.255.255.255", "multicast"},
		{everything, "255.255.255.255", "reserved"},
		{everything, "::", "this host"},
		{everything, "::1", "this host"},
		{everything, "fe80::1", "link-local"},
		{everything, "fe80::1%eth0", "link-local"},
		{everything, "fec0::1", "site-local"},
		{everything, "fd00::1", "unique local"},
		{everything, "ff02::1", "multicast"},

		// Other spellings.
		{everything, "::ffff:127.0.0.1", "loopback"},
		{everything, "::ffff:8.8.8.8", ""},
		{everything, "::127.0.0.1", "IPv4-compatible"},
		{everything, "2002:7f00:1::", "6to4"},
		{everything, "64:ff9b::127.0.0.1", "means 127.0.0.1: loopback"},
		{everything, "64:ff9b::169.254.169.254", "means 169.254.169.254: link-local"},
		{everything, "64:ff9b::8.8.8.8", ""},
		{everything, "64:ff9b:1::10.0.0.1", "local NAT64"},
		{everything, "2001:0:7f00:1::1", "Teredo"},
		{everything, "::ffff:0:127.0.0.1", "means 127.0.0.1: loopback"},
		{everything, "2600::5efe:127.0.0.1", "means 127.0.0.1: loopback"},
		{everything, "2600::200:5efe:10.0.0.1", "means 10.0.0.1: private"},
		{"::/0 2002::/16", "2002:7f00:1::", "means 127.0.0.1: loopback"},
		{"::/0 2002::/16", "2002:808:808::", ""},
		{"2001::/32", "2001:0:808:808:0:0:80ff:fffe", "means 127.0.0.1: loopback"}, // the client, inverted
		{"2001::/32", "2001:0:a00:1::", "means 10.0.0.1: private"},

		// What is named within a special range is permitted.
		{"127.0.0.1/32", "127.0.0.1", ""},
		{"127.0.0.1/32", "::ffff:127.0.0.1", ""},
		{"127.0.0.1/32", "127.0.0.2", "not among the allowed"},
		{"127.0.0.0/8", "127.0.0.1", ""},
		{"0.0.0.0/0 127.0.0.1/32", "127.0.0.1", ""},
		{"0.0.0.0/0 127.0.0.1/32", "127.0.0.2", "loopback"},
		{"::1/128", "::1", ""},
		{"10.0.0.0/8", "10.1.2.3", ""},
		{"10.0.0.0/7", "10.1.2.3", "private"},
		{"169.254.0.0/16", "169.254.1.1", ""},
		{"169.254.0.0/16", "169.254.169.254", "metadata"},
		{"169.254.169.254/32", "169.254.169.254", ""},
		{"fd00:ec2::/32", "fd00:ec2::254", "metadata"},

		{everything, "192.88.99.1", "6to4 relay"},
		{"::ffff:10.0.0.0/104", "10.1.2.3", ""}, // written as IPv6, it means IPv4

		// The host's own addresses.
		{everything, "192.0.2.7", "an address of this server"},
		{everything, "::ffff:192.0.2.7", "an address of this server"},
		{everything, "64:ff9b::192.0.2.7", "means 192.0.2.7: an address of this server"},
		{"192.0.2.0/24", "192.0.2.7", "an address of this server"},
		{"192.0.2.7/32", "192.0.2.7", ""},
	}
	own := []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.7"), loopback}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.allow, "/", "|")+" "+tt.peer, func(t *testing.T) {
			var allow []netip.Prefix
			for _, p := range strings.Fields(tt.allow) {
				allow = append(allow, netip.MustParsePrefix(p))
			}
			p := newPeerPolicy(&Config{AllowPeers: allow}, own, nil)
			got := p.refusal(netip.MustParseAddr(tt.peer))
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func prefixes(list string) (all []netip.Prefix) {
	for _, p := range strings.Fields(list) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestDeniedPeers(t *testing.T) {
	tests := []struct {
		allow, deny string
		peer        string
		want        string
	}{
		{"0.0.0.0/0 ::/0", "8.8.8.0/24", "8.8.8.8", "denied"},
		{"0.0.0.0/0 ::/0", "8.8.8.0/24", "8.8.9.8", ""},
		{"8.8.8.8/32", "8.8.8.0/24", "8.8.8.8", "denied"}, // however exactly it is allowed
		{"0.0.0.0/0 ::/0", "8.8.8.0/24", "::ffff:8.8.8.8", "denied"},
		{"0.0.0.0/0 ::/0", "8.8.8.0/24", "64:ff9b::8.8.8.8", "denied"},
		{"2002::/16", "8.8.8.0/24", "2002:808:808::1", "denied"},
		{"2001::/32", "8.8.8.0/24", "2001:0:1:1:0:0:f7f7:f7f7", "denied"},
		{"0.0.0.0/0 ::/0", "::ffff:8.8.8.0/120", "8.8.8.8", "denied"},
		{"0.0.0.0/0 ::/0", "2600::/16", "2600::1", "denied"},
		{"0.0.0.0/0 ::/0", "2600::/16", "2601::1", ""},
		{"", "8.8.8.0/24", "9.9.9.9", "not among the allowed"},
	}
	for _, tt := range tests {
		p := newPeerPolicy(&Config{AllowPeers: prefixes(tt.allow), DenyPeers: prefixes(tt.deny)}, nil, nil)
		got := p.refusal(netip.MustParseAddr(tt.peer))
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("allow %q, deny %q, %s: got %q, want %q", tt.allow, tt.deny, tt.peer, got, tt.want)
		}
	}
}

func TestPeerKeywords(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		peer string
		want string
	}{
		{"private", Config{AllowPeers: PrivatePeers()}, "10.1.2.3", ""},
		{"private", Config{AllowPeers: PrivatePeers()}, "172.31.0.1", ""},
		{"private", Config{AllowPeers: PrivatePeers()}, "192.168.0.1", ""},
		{"private", Config{AllowPeers: PrivatePeers()}, "fd00::1", ""},
		{"private", Config{AllowPeers: PrivatePeers()}, "64:ff9b::10.0.0.1", "not among the allowed"},
		{"private", Config{AllowPeers: PrivatePeers()}, "fd00:ec2::254", "metadata"},
		{"private", Config{AllowPeers: PrivatePeers()}, "8.8.8.8", "not among the allowed"},
		{"private", Config{AllowPeers: PrivatePeers()}, "100.64.0.1", "not among the allowed"},
		{"private", Config{AllowPeers: PrivatePeers()}, "192.168.7.255", "broadcast"},
		{"public", Config{AllowPeers: PublicPeers()}, "8.8.8.8", ""},
		{"public", Config{AllowPeers: PublicPeers()}, "2600::1", ""},
		{"public", Config{AllowPeers: PublicPeers()}, "10.1.2.3", "private"},
		{"inside only", Config{InsideOnly: true}, "10.1.2.3", ""},
		{"inside only", Config{InsideOnly: true}, "fd00::1", ""},
		{"inside only", Config{InsideOnly: true}, "8.8.8.8", "not among the allowed"},
		{"inside only", Config{InsideOnly: true}, "127.0.0.1", "not among the allowed"},
		{"inside only", Config{InsideOnly: true, AllowPeers: PublicPeers()}, "8.8.8.8", "the internet"},
		{"inside only", Config{InsideOnly: true, AllowPeers: PublicPeers()}, "2600::1", "the internet"},
		{"inside only", Config{InsideOnly: true, AllowPeers: PublicPeers()}, "64:ff9b::8.8.8.8", "the internet"},
		{"inside only", Config{InsideOnly: true, AllowPeers: prefixes("2002::/16")}, "2002:808:808::1", "the internet"},
		{"inside only", Config{InsideOnly: true, AllowPeers: prefixes("2002::/16 10.0.0.0/8")}, "2002:a00:1::1", ""},
		{"inside only", Config{InsideOnly: true, AllowPeers: prefixes("100.64.0.0/10")}, "100.64.0.1", ""},
	}
	for _, tt := range tests {
		p := newPeerPolicy(&tt.cfg, nil, []netip.Addr{netip.MustParseAddr("192.168.7.255")})
		got := p.refusal(netip.MustParseAddr(tt.peer))
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s, %v: %s: got %q, want %q", tt.name, tt.cfg.AllowPeers, tt.peer, got, tt.want)
		}
	}
}

func TestIsInside(t *testing.T) {
	tests := []struct {
		prefix string
		want   bool
	}{
		{"10.0.0.0/8", true}, {"10.1.0.0/16", true}, {"10.0.0.0/7", false}, {"0.0.0.0/0", false}, {"8.8.8.8/32", false},
		{"127.0.0.1/32", true}, {"fd00::/8", true}, {"2600::/16", false}, {"::ffff:10.0.0.0/104", true},
	}
	for _, tt := range tests {
		if got := IsInside(netip.MustParsePrefix(tt.prefix)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.prefix, got, tt.want)
		}
	}
}

func TestBroadcast(t *testing.T) {
	tests := []struct{ network, want string }{
		{"10.1.2.3/16", "10.1.255.255"}, {"192.0.2.9/29", "192.0.2.15"},
		{"192.0.2.9/31", ""}, {"192.0.2.9/32", ""}, {"fd00::1/64", ""},
	}
	for _, tt := range tests {
		ip, n, err := net.ParseCIDR(tt.network)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := broadcastOf(&net.IPNet{IP: ip, Mask: n.Mask})
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%s: got %v, want %q", tt.network, got, tt.want)
		}
	}
}
