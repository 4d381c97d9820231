package turntcp

import (
	"crypto/tls"
	"testing"
)

func TestTLS(t *testing.T) {
	tests := []struct {
		name   string
		client *tls.Config
		server func(*tls.Config)
		ok     bool
		alpn   string
	}{
		{"no ALPN", &tls.Config{}, nil, true, ""},
		{"ours", &tls.Config{NextProtos: []string{"stun.turn"}}, nil, true, "stun.turn"},
		{"others", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, nil, true, ""},
		{"ours among others", &tls.Config{NextProtos: []string{"http/1.1", "stun.turn"}}, nil, true, "stun.turn"},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"stun.turn"}}, nil, true, "stun.turn"},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, nil, false, ""},
		{"TLS 1.1 against a lax configuration", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 }, false, ""},
		{"TLS 1.2 against a strict configuration", &tls.Config{MaxVersion: tls.VersionTLS12},
			func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, false, ""},
		{"configuration with protocols", &tls.Config{NextProtos: []string{"h2"}},
			func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, true, ""},
		{"configuration that chooses", &tls.Config{}, func(c *tls.Config) {
			own := c.Clone()
			c.Certificates = nil
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }
		}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newTestServer(t, func(c *Config) {
				if tt.server != nil {
					tt.server(c.TLS)
				}
			})
			_, pool := certificate()
			cfg := tt.client.Clone()
			cfg.RootCAs, cfg.ServerName = pool, "127.0.0.1"
			conn := tls.Client(dial(t, "tcp", srv.addr["tls"]), cfg)
			c := newTestClient(t, conn, ClientConfig{})
			_, err := c.Binding(context10(t))
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want success %v", err, tt.ok)
			}
			if got := conn.ConnectionState().NegotiatedProtocol; got != tt.alpn {
				t.Errorf("got ALPN %q, want %q", got, tt.alpn)
			}
		})
	}
}

func TestTLSNeedsConfiguration(t *testing.T) {
	srv := newTestServer(t, nil)
	srv.tls = nil
	if addr, err := srv.ListenTLS("127.0.0.1:0"); err == nil {
		t.Errorf("listens on %v", addr)
	}
}

// Who names the server gets several frames in a record; turnutils_uclient does not, and could not read them.
func TestWhoseFramesShareRecords(t *testing.T) {
	srv := newTestServer(t, nil)
	for name, want := range map[string]bool{"": false, "turn.example.com": true} {
		conn := tls.Client(dial(t, "tcp", srv.addr["tls"]), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		c := newTestClient(t, conn, ClientConfig{})
		allocation(t, c.Client)
		if got := onlyFlow(t, srv).conn.out.joins; got != want {
			t.Errorf("server name %q: got %v, want %v", name, got, want)
		}
		c.Close()
		eventually(t, "the connection has ended", func() bool { return srv.Connections() == 0 })
	}
}
