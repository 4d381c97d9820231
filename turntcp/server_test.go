package turntcp

import (
	"net/netip"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // part of the error; "" for none
	}{
		{"complete", func(*Config) {}, ""},
		{"IPv4-mapped relay", func(c *Config) { c.RelayIP = netip.MustParseAddr("::ffff:127.0.0.1") }, ""},
		{"no realm", func(c *Config) { c.Realm = "" }, "no realm"},
		{"no credentials", func(c *Config) { c.Credentials = nil }, "no credentials"},
		{"no relay", func(c *Config) { c.RelayIP = netip.Addr{} }, "no relay address"},
		{"any relay", func(c *Config) { c.RelayIP = netip.IPv4Unspecified() }, "relay address"},
		{"IPv6 relay", func(c *Config) { c.RelayIP = netip.IPv6Loopback() }, ""},
		{"public address", func(c *Config) {
			c.RelayAddrs = []RelayAddr{{Local: netip.MustParseAddr("10.0.0.1"), Public: netip.MustParseAddr("192.0.2.1")}}
		}, ""},
		{"public address of another family", func(c *Config) {
			c.RelayAddrs = []RelayAddr{{Local: loopback, Public: netip.IPv6Loopback()}}
		}, "cannot be ::1"},
		{"public address without a local one", func(c *Config) {
			c.RelayAddrs = []RelayAddr{{Public: loopback}}
		}, "is not one address"},
		{"ports in disorder", func(c *Config) { c.RelayPorts = PortRange{2, 1} }, "relay ports 2-1"},
		{"half a range", func(c *Config) { c.RelayPorts = PortRange{0, 1} }, "relay ports 0-1"},
		{"one port", func(c *Config) { c.RelayPorts = PortRange{50000, 50000} }, ""},
		{"invalid prefix", func(c *Config) { c.AllowPeers = make([]netip.Prefix, 1) }, "invalid prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Realm: testRealm, Credentials: StaticCredentials(nil), RelayIP: loopback}
			tt.change(&cfg)
			srv, err := NewServer(cfg)
			if err == nil {
				err = srv.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNoRelayPortLeft(t *testing.T) {
	ports := portsInARow(t, 1)
	srv := newTestServer(t, func(c *Config) { c.RelayPorts = ports })
	first := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	if got := first.allocate(t).Relayed.Port(); got != ports.Min {
		t.Errorf("got port %d, want %d", got, ports.Min)
	}
	second := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	if _, err := second.Allocate(context10(t)); err == nil || err.Error() != "Allocate: error 508 (Insufficient Capacity)" {
		t.Errorf("the second got %v, want error 508", err)
	}
	if !strings.Contains(srv.log.String(), "no relay port is free") {
		t.Error("the log does not say why")
	}
	first.Close()
	eventually(t, "the port is free", func() bool { return srv.Allocations() == 0 })
	second.allocate(t)
}
