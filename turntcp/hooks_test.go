package turntcp

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// Why a connection ended is told in a word that can be counted.
func TestConnectionEnds(t *testing.T) {
	send := func(bytes string) func(*testing.T, *testServer, net.Conn) {
		return func(t *testing.T, _ *testServer, nc net.Conn) {
			if _, err := nc.Write([]byte(bytes)); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := func(*testing.T, *testServer, net.Conn) {}
	hangUp := func(_ *testing.T, _ *testServer, nc net.Conn) { nc.Close() }
	reset := func(t *testing.T, _ *testServer, nc net.Conn) {
		if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	kill := func(t *testing.T, srv *testServer, _ net.Conn) {
		eventually(t, "it is killed", func() bool { return srv.Kill(1) })
	}
	balanced := func(c *Config) { c.ProxyProtocolFrom = prefixes("127.0.0.0/8") }
	request := string(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
	tests := []struct {
		name, transport string
		change          func(*Config)
		do              func(*testing.T, *testServer, net.Conn)
		want            CloseReason
	}{
		{"FIN", "tcp", nil, hangUp, ClosedByClient},
		{"FIN in a frame", "tcp", nil, func(t *testing.T, s *testServer, nc net.Conn) { send(request[:10])(t, s, nc); nc.Close() }, ClosedByClient},
		{"RST", "tcp", nil, reset, ClosedByReset},
		{"garbage", "tcp", nil, send("\xff\xff\xff\xff\xff\xff\xff\xff"), ClosedBadFrame},
		{"a request too large", "tcp", nil, send("\x00\x01\xff\xfc\x21\x12\xa4\x42"), ClosedBadFrame},
		{"garbage instead of TLS", "tls", nil, send("GET / HTTP/1.1\r\n\r\n"), ClosedTLS},
		{"nothing instead of TLS", "tls", func(c *Config) { c.HandshakeTimeout = 20 * time.Millisecond }, nothing, ClosedHandshake},
		{"nothing", "tcp", func(c *Config) { c.FirstRequestTimeout = 20 * time.Millisecond }, nothing, ClosedIdle},
		{"no PROXY header", "tcp", balanced, send(request), ClosedProxyHeader},
		{"a balancer that looks", "tcp", balanced, hangUp, ClosedHealthCheck},
		{"a balancer that looks, with a header", "tcp", balanced, func(t *testing.T, s *testServer, nc net.Conn) {
			send(sigV2+"\x20\x00\x00\x00")(t, s, nc)
			nc.Close()
		}, ClosedHealthCheck},
		{"a balancer that looks, with a header, and resets", "tls", balanced, func(t *testing.T, s *testServer, nc net.Conn) {
			send("PROXY UNKNOWN\r\n")(t, s, nc)
			reset(t, s, nc)
		}, ClosedHealthCheck},
		{"a balancer that begins TLS itself, badly", "tls", balanced, send("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n\r\n"), ClosedTLS},
		{"killed", "tcp", nil, kill, ClosedKilled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ends := make(chan ConnectionEnd, 10)
			srv := newTestServer(t, func(c *Config) {
				if tt.change != nil {
					tt.change(c)
				}
				c.OnConnectionEnd = func(e ConnectionEnd) { ends <- e }
			})
			nc, err := net.Dial("tcp", srv.addr[tt.transport])
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			tt.do(t, srv, nc)
			select {
			case e := <-ends:
				if e.Reason != tt.want || e.Err == nil || e.Client.String() != nc.LocalAddr().String() || e.Since.IsZero() {
					t.Errorf("got %+v, want %s", e, tt.want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("no end was told within 10 s")
			}
		})
	}
}

// Connections beyond a limit are told, too.
func TestRefusedConnectionsAreTold(t *testing.T) {
	tests := []struct {
		change func(*Config)
		want   CloseReason
	}{
		{func(c *Config) { c.MaxConnections = 1 }, ClosedFull},
		{func(c *Config) { c.MaxConnectionsPerIP = 1 }, ClosedAddressFull},
	}
	for _, tt := range tests {
		ends := make(chan ConnectionEnd, 10)
		srv := newTestServer(t, func(c *Config) {
			tt.change(c)
			c.OnConnectionEnd = func(e ConnectionEnd) { ends <- e }
		})
		first := newPlainClient(t, srv)
		if _, err := first.Binding(context10(t)); err != nil {
			t.Fatal(err)
		}
		second := dial(t, "tcp", srv.addr["tcp"])
		expectClosed(t, second)
		if e := <-ends; e.Reason != tt.want || e.Client.String() != second.LocalAddr().String() {
			t.Errorf("got %+v, want %s", e, tt.want)
		}
	}
}

// An allocation is told of when it begins, and when it ends with the reason. On Linux the client's round
// trips stand in both, also if the socket is gone.
func TestAllocationEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(*testing.T, *testServer, *testClient)
		want CloseReason
	}{
		{"refresh with 0", func(t *testing.T, _ *testServer, c *testClient) {
			if _, err := c.Refresh(context10(t), 0); err != nil {
				t.Fatal(err)
			}
		}, ClosedDeleted},
		{"disconnect", func(_ *testing.T, _ *testServer, c *testClient) { c.Close() }, ClosedByClient},
		{"kill", func(t *testing.T, s *testServer, _ *testClient) {
			if !s.Kill(1) || s.Kill(99) {
				t.Error("Kill found nothing, or what is not there")
			}
		}, ClosedKilled},
		{"server", func(_ *testing.T, s *testServer, _ *testClient) { s.Close() }, ClosedByServer},
		{"not refreshed", func(*testing.T, *testServer, *testClient) {}, ClosedExpired},
		{"the relay breaks", func(t *testing.T, s *testServer, c *testClient) {
			breakRelays(s)
			if _, err := c.Refresh(context10(t), time.Hour); !errors.Is(err, io.EOF) {
				t.Errorf("refresh: got %v, want the connection's end", err)
			}
		}, ClosedRelayFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begun, ended := make(chan AllocationStats, 1), make(chan AllocationStats, 1)
			srv := newTestServer(t, func(c *Config) {
				c.OnAllocationStart = func(s AllocationStats) { begun <- s }
				c.OnAllocationEnd = func(s AllocationStats) { ended <- s }
			})
			if tt.want == ClosedExpired {
				srv.leastLifetime = time.Second
			}
			c := newTestClient(t, dial(t, "tls", srv.addr["tls"]), ClientConfig{})
			relayed := c.allocate(t).Relayed
			first := <-begun
			tt.end(t, srv, c)
			var last AllocationStats
			select {
			case last = <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("no end was told within 10 s")
			}
			for _, s := range []AllocationStats{first, last} {
				known := s.TCPInfo.RTT > 0 || readTCPInfo(c.conn) == TCPInfo{} // not on this system
				if s.Relay != relayed || s.User != testUser || s.Transport != "tls" || s.Protocol != alpnTURN || !known {
					t.Errorf("got %+v, want %s's relay %v by TLS, with a round trip", s, testUser, relayed)
				}
			}
			if first.Reason != "" || last.Reason != tt.want {
				t.Errorf("it began with %q and ended with %q, want %q", first.Reason, last.Reason, tt.want)
			}
		})
	}
}

// breakRelays is what a relay does whose socket fails.
func breakRelays(s *testServer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if f := c.flow(); f != nil {
			f.relay.broke(syscall.EIO)
		}
	}
}

func TestRejectionsAreTold(t *testing.T) {
	var told []string
	srv := newTestServer(t, func(c *Config) {
		c.OnAuthRejected = func(r AuthRejection) { told = append(told, r.User+": "+r.Reason) }
	})
	for _, cfg := range []ClientConfig{{Username: "mallory", Password: "x"}, {Username: testUser, Password: "x"}} {
		c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), cfg)
		if _, err := c.Allocate(context10(t)); refusal(t, err) != 401 {
			t.Errorf("%s: got %v, want 401", cfg.Username, err)
		}
		c.Close()
	}
	if want := []string{"mallory: unknown user", testUser + ": wrong password"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

func TestAllocationRefusalsAreTold(t *testing.T) {
	no := errors.New("not today")
	tests := []struct {
		name     string
		change   func(*Config)
		protocol byte
		with     []stun.Setter
		code     int
		reason   string
		err      error
	}{
		{"not admitted", func(c *Config) { c.Admit = func(string) error { return no } }, 17, nil, 508, "not admitted", no},
		{"quota", func(c *Config) { c.MaxAllocations = 1 }, 17, []stun.Setter{attribute(stun.AttrEvenPort, 0x80)}, 486, "quota", nil},
		{"TCP", nil, 6, nil, 442, "no relays for TCP", nil},
		{"an even port for TCP", offerTCP, 6, []stun.Setter{attribute(stun.AttrEvenPort, 0)}, 400, "bad request", nil},
		{"IPv6", nil, 17, []stun.Setter{attribute(stun.AttrRequestedAddressFamily, familyIPv6, 0, 0, 0)}, 440, "address family", errFamily},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			told := make(chan AllocationRefusal, 10)
			srv := newTestServer(t, func(c *Config) {
				if tt.change != nil {
					tt.change(c)
				}
				c.OnAllocationRefused = func(r AllocationRefusal) { told <- r }
			})
			c := newPlainClient(t, srv)
			_, err := allocateWith(context10(t), c, tt.protocol, tt.with...)
			if got := refusal(t, err); got != tt.code {
				t.Errorf("got %d, want %d", got, tt.code)
			}
			if len(told) != 1 {
				t.Fatalf("%d refusals were told, want 1", len(told))
			}
			if r := <-told; r.Code != tt.code || r.Reason != tt.reason || !errors.Is(r.Err, tt.err) || r.User != testUser {
				t.Errorf("told %+v, want %d, %s, %v", r, tt.code, tt.reason, tt.err)
			}
		})
	}
}
