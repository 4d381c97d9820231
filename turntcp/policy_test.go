package turntcp

import (
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
			p := newPeerPolicy(allow, own)
			got := p.refusal(netip.MustParseAddr(tt.peer))
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
