package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	turnv2 "github.com/pion/turn/v2"

	"github.com/turngate/turngate/turntcp"
)

const (
	turnRealm    = "interop.test"
	turnUser     = "old-client"
	turnPassword = "its-password"
)

// TestTURNv2 serves a client of the last release of pion/turn v2, which programs are still built
// with, all that it asks for in the life of an allocation: Binding, Allocate, CreatePermission, Send,
// ChannelBind, ChannelData, Refresh.
func TestTURNv2(t *testing.T) {
	for _, tc := range []struct {
		name string
		dial func(*server, *testing.T) net.Conn
	}{
		{"TCP", (*server).dialTCP},
		{"TLS", (*server).dialTLS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startServer(t)
			c := v2Client(t, tc.dial(s, t), turnPassword)
			testMapped(t, c)
			testRelaying(t, c, s)
		})
	}
}

// TestTURNv2WrongPassword: the old client sees the server's 401 and no allocation is made.
func TestTURNv2WrongPassword(t *testing.T) {
	s := startServer(t)
	relay, err := v2Client(t, s.dialTCP(t), "another").Allocate()
	if err == nil {
		relay.Close()
		t.Fatal("the server allocates for a wrong password")
	}
	if want := "error 401"; !strings.Contains(err.Error(), want) {
		t.Errorf("got the error %q, want one with %q", err, want)
	}
	if n := s.Allocations(); n != 0 {
		t.Errorf("the server has %d allocations, want none", n)
	}
}

// An oldClient is one of pion/turn v2 with what passed over its connection.
type oldClient struct {
	*turnv2.Client
	wire *frames
}

func v2Client(t *testing.T, conn net.Conn, password string) oldClient {
	t.Helper()
	wire := &frames{Conn: conn}
	c, err := turnv2.NewClient(&turnv2.ClientConfig{
		STUNServerAddr: conn.RemoteAddr().String(),
		TURNServerAddr: conn.RemoteAddr().String(),
		Conn:           turnv2.NewSTUNConn(wire),
		Username:       turnUser, Password: password,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
	})
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return oldClient{c, wire}
}

// frames counts the ChannelData messages that the client writes, each by one Write.
type frames struct {
	net.Conn
	channelData atomic.Int64
}

func (f *frames) Write(b []byte) (int, error) {
	if frame := turntcp.Frame(b); len(b) > 0 && frame.IsChannelData() {
		f.channelData.Add(1)
	}
	return f.Conn.Write(b)
}

func testMapped(t *testing.T, c oldClient) {
	t.Helper()
	mapped, err := c.SendBindingRequest()
	if err != nil {
		t.Fatalf("binding: %v", err)
	}
	if got, want := mapped.String(), c.wire.LocalAddr().String(); got != want {
		t.Errorf("mapped address is %s, want %s", got, want)
	}
}

// testRelaying talks to a peer until the client, which binds a channel in the background, has used
// it both ways.
func testRelaying(t *testing.T, c oldClient, s *server) {
	t.Helper()
	peer := echoPeer(t)
	relay, err := c.Allocate()
	if err != nil {
		t.Fatalf("allocate: %v", err)
	}
	defer relay.Close()
	if n := s.Allocations(); n != 1 {
		t.Errorf("the server has %d allocations, want 1", n)
	}
	if err := c.CreatePermission(peer); err != nil {
		t.Fatalf("permission: %v", err)
	}
	if err := relay.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for n := 0; c.wire.channelData.Load() < 3; n++ {
		testEcho(t, relay, peer, fmt.Sprintf("datagram %d", n))
	}
}

func testEcho(t *testing.T, relay net.PacketConn, peer net.Addr, want string) {
	t.Helper()
	if _, err := relay.WriteTo([]byte(want), peer); err != nil {
		t.Fatalf("send: %v", err)
	}
	b := make([]byte, 1500)
	n, from, err := relay.ReadFrom(b)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if got := string(b[:n]); got != want || from.String() != peer.String() {
		t.Errorf("got %q from %v, want %q from %v", got, from, want, peer)
	}
}

// echoPeer returns the address of a UDP socket that sends everything back.
func echoPeer(t *testing.T) net.Addr {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			conn.WriteTo(b[:n], from)
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr()
}

type server struct {
	*turntcp.Server
	tcp, tls string
	trust    *tls.Config
}

func startServer(t *testing.T) *server {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate, made out to 127.0.0.1
	defer certified.Close()
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:       turnRealm,
		Credentials: turntcp.StaticCredentials(map[string]string{turnUser: turnPassword}),
		RelayIP:     netip.MustParseAddr("127.0.0.1"),
		AllowPeers:  []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		TLS:         &tls.Config{Certificates: certified.TLS.Certificates},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	return &server{
		Server: srv, tcp: listen(t, srv.ListenTCP), tls: listen(t, srv.ListenTLS),
		trust: certified.Client().Transport.(*http.Transport).TLSClientConfig,
	}
}

func listen(t *testing.T, on func(string) (net.Addr, error)) string {
	t.Helper()
	addr, err := on("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func (s *server) dialTCP(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.tcp)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (s *server) dialTLS(t *testing.T) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", s.tls, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
