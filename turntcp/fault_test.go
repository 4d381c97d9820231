package turntcp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// failingListener fails a number of times before each connection.
type failingListener struct {
	net.Listener
	failures []error
	next     atomic.Int64
}

func (l *failingListener) Accept() (net.Conn, error) {
	if i := int(l.next.Add(1)) - 1; i < len(l.failures) {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", l.failures[i])}
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsPass(t *testing.T) {
	srv := newTestServer(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failing := &failingListener{Listener: l, failures: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE}}
	if err := srv.Start(failing); err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, dial(t, "tcp", l.Addr().String()), ClientConfig{})
	if _, err := c.Binding(context10(t)); err != nil {
		t.Errorf("after %d failures of Accept: %v", len(failing.failures), err)
	}
	for _, want := range []string{"too many open files", "connection abort", "in system"} {
		if !strings.Contains(srv.log.String(), want) {
			t.Errorf("%q is not in the log", want)
		}
	}
}

// expectClosed waits until the server has closed the connection.
func expectClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is open after 10 s")
	}
}

func expectNothingLeft(t *testing.T, srv *testServer) {
	t.Helper()
	eventually(t, "no connections and allocations", func() bool { return srv.Connections()+srv.Allocations() == 0 })
}

func TestRefusedStreams(t *testing.T) {
	tests := []struct{ name, transport, input string }{
		{"HTTP to the TLS port", "tls", "GET / HTTP/1.1\r\n\r\n"},
		{"TURN to the TLS port", "tls", string(stunFrame(0x0001, 0))},
		{"HTTP response to the TCP port", "tcp", "\x80HTTP"},
		{"TLS to the TCP port", "tcp", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"},
		{"oversized request", "tcp", string(stunFrame(0x0001, 60000))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newTestServer(t, nil)
			conn := dial(t, "tcp", srv.addr[tt.transport])
			_, _ = io.WriteString(conn, tt.input) // the server may close before it has all
			expectClosed(t, conn)
			expectNothingLeft(t, srv)
		})
	}
}

// Frames that once made pion spin or panic, or that no handler may choke on. The connection must work
// afterwards, also for one who has an allocation.
func TestHostileFrames(t *testing.T) {
	emptyPeer := stunFrame(typeSendIndication, 12)
	copy(emptyPeer[20:], "\x00\x13\x00\x04dataXX\x00\x00") // DATA of 4, then XOR-PEER-ADDRESS of 0
	copy(emptyPeer[28:], "\x00\x12\x00\x00")
	overlong := stunFrame(0x0001, 4)
	copy(overlong[20:], "\x80\x22\xff\xff")
	tests := []struct{ name, frame string }{
		{"Send indication with an empty peer", string(emptyPeer)},
		{"attribute longer than its message", string(overlong)},
		{"half an attribute header in a message of length 4", string(stunFrame(0x0016, 4))},
		{"ChannelData on no channel", string(AppendChannelData(nil, 0x4123, []byte("x")))},
		{"ChannelData of the greatest length", string(AppendChannelData(nil, 0x4000, make([]byte, 0xFFFF)))},
		{"a response", string(stunFrame(0x0101, 0))},
		{"unknown method", string(stunFrame(0x3eee&^classMask, 0))},
	}
	for _, tt := range tests {
		for _, allocated := range []bool{false, true} {
			srv := newTestServer(t, nil)
			c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
			if allocated {
				c.allocate(t)
			}
			if err := c.WriteFrames([]byte(tt.frame)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Binding(context10(t)); err != nil {
				t.Errorf("%s, allocated %v: binding afterwards: %v", tt.name, allocated, err)
			}
		}
	}
}

// Nine bytes that pinned a core in pion up to v5.1.2, also after the client had gone.
func TestNineBytes(t *testing.T) {
	srv := newTestServer(t, nil)
	conn := dial(t, "tcp", srv.addr["tcp"])
	if _, err := conn.Write([]byte("\x40\x00\xff\xfc\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has the connection", func() bool { return srv.Connections() == 1 })
	conn.Close()
	expectNothingLeft(t, srv)
}

func TestDrip(t *testing.T) {
	for _, transport := range transports {
		srv := newTestServer(t, nil)
		conn := dial(t, transport, srv.addr[transport])
		for _, b := range stunFrame(0x0001, 0) {
			if _, err := conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		f, err := NewFrameReader(conn, 0).ReadFrame()
		if err != nil || f.messageType() != 0x0101 {
			t.Errorf("%s: got %x, %v, want a Binding success", transport, f, err)
		}
	}
}

func TestBlockedReaderIsClosed(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			srv := newTestServer(t, func(c *Config) {
				allowLoopback(c)
				c.WriteTimeout = 100 * time.Millisecond
			})
			block := make(chan struct{})
			c := NewClient(dial(t, transport, srv.addr[transport]), ClientConfig{
				Username: testUser, Password: testPassword, OnData: func(Data) { <-block },
			})
			defer c.Close()
			defer close(block)
			a, err := c.Allocate(context10(t))
			if err != nil {
				t.Fatal(err)
			}
			peer := udpSocket(t)
			if _, err := c.Bind(context10(t), addrPort(peer.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the server gives the client up", func() bool {
				_, _ = peer.WriteToUDPAddrPort(make([]byte, 1400), a.Relayed)
				for range 100 {
					_, _ = peer.WriteToUDPAddrPort(make([]byte, 1400), a.Relayed)
				}
				return srv.Connections() == 0
			})
			expectNothingLeft(t, srv)
			if !strings.Contains(srv.log.String(), "the client takes no data") {
				t.Error("the log does not say why")
			}
		})
	}
}

func TestDisconnectEndsAllocation(t *testing.T) {
	ways := map[string]func(net.Conn){
		"FIN": func(c net.Conn) { c.Close() },
		"RST": func(c net.Conn) {
			if s, ok := c.(*tls.Conn); ok {
				c = s.NetConn()
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		},
		"half-close": func(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() },
	}
	for _, transport := range transports {
		for name, end := range ways {
			t.Run(transport+"/"+name, func(t *testing.T) {
				srv := newTestServer(t, nil)
				c := newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
				a := c.allocate(t)
				end(c.conn)
				expectNothingLeft(t, srv)
				free, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a.Relayed))
				if err != nil {
					t.Fatalf("the relay port is still in use: %v", err)
				}
				free.Close()
			})
		}
	}
}

func TestIdleConnections(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.FirstRequestTimeout = 100 * time.Millisecond })
	allocated := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	allocated.allocate(t)
	silent := dial(t, "tcp", srv.addr["tcp"])
	secure := dial(t, "tls", srv.addr["tls"])
	if err := secure.(*tls.Conn).HandshakeContext(context10(t)); err != nil {
		t.Fatal(err)
	}
	chatty := dial(t, "tcp", srv.addr["tcp"]) // bytes without end, but never a request
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_, _ = chatty.Write(AppendChannelData(nil, 0x4000, nil))
			}
		}
	}()
	expectClosed(t, silent)
	expectClosed(t, secure)
	expectClosed(t, chatty)
	close(stop)
	<-done
	if _, err := allocated.Binding(context10(t)); err != nil {
		t.Errorf("the client with an allocation: %v", err)
	}
	if _, err := allocated.Refresh(context10(t), 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-allocated.Done():
	case <-time.After(10 * time.Second):
		t.Error("without its allocation the client is still connected after 10 s")
	}
	if err := allocated.Err(); err != io.EOF {
		t.Errorf("the client ended by %v, want %v", err, io.EOF)
	}
}

func TestSlowHandshake(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	conn := dial(t, "tcp", srv.addr["tls"])
	expectClosed(t, conn)
	expectNothingLeft(t, srv)
}

func TestHandshakesAreBounded(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.MaxHandshakes = 1 })
	silent := dial(t, "tcp", srv.addr["tls"])
	eventually(t, "the silent client is in its handshake", func() bool { return len(srv.handshakes) == 1 })
	for range 5 {
		dial(t, "tcp", srv.addr["tls"])
	}
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{}) // not affected
	if _, err := c.Binding(context10(t)); err != nil {
		t.Error(err)
	}
	// One waits for its turn, the others in the kernel.
	eventually(t, "one more is accepted", func() bool { return srv.Connections() == 3 })
	silent.Close()
	eventually(t, "its turn has come", func() bool { return srv.Connections() == 3 && len(srv.handshakes) == 1 })
}

func TestMaxConnections(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.MaxConnections = 1 })
	first := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	if _, err := first.Binding(context10(t)); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, dial(t, "tcp", srv.addr["tcp"]))
	expectClosed(t, dial(t, "tcp", srv.addr["tls"]))
	if _, err := first.Binding(context10(t)); err != nil {
		t.Errorf("the connection within the limit: %v", err)
	}
	first.Close()
	eventually(t, "there is room again", func() bool { return srv.Connections() == 0 })
	next := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	if _, err := next.Binding(context10(t)); err != nil {
		t.Errorf("the next connection: %v", err)
	}
}

func TestGuessingEndsTheConnection(t *testing.T) {
	srv := newTestServer(t, nil)
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: testUser, Password: "guess"})
	var refused *Error
	for i := range maxRejected {
		if _, err := c.Allocate(context10(t)); !errors.As(err, &refused) || refused.Code != 401 {
			t.Fatalf("attempt %d: got %v, want error 401", i, err)
		}
	}
	_, err := c.Allocate(context10(t))
	if err == nil || errors.As(err, &refused) {
		t.Errorf("after %d attempts: got %v, want the end of the connection", maxRejected, err)
	}
}

func TestPermissionsAreBounded(t *testing.T) {
	const maxPermissions = 10
	srv := newTestServer(t, func(c *Config) {
		c.MaxPermissions = maxPermissions
		c.AllowPeers = []netip.Prefix{netip.MustParsePrefix("203.0.112.0/23")}
	})
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	permit := func(i int) error {
		return c.CreatePermission(context10(t), netip.AddrFrom4([4]byte{203, 0, byte(112 + i/256), byte(i)}))
	}
	for i := range maxPermissions {
		if err := permit(i); err != nil {
			t.Fatalf("permission %d: %v", i, err)
		}
	}
	var refused *Error
	if err := permit(maxPermissions); !errors.As(err, &refused) || refused.Code != int(stun.CodeInsufficientCapacity) {
		t.Errorf("permission %d: got %v, want error 508", maxPermissions, err)
	}
	if err := permit(0); err != nil {
		t.Errorf("a permission that is there already: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	srv := newTestServer(t, nil)
	var conns []net.Conn
	for _, transport := range transports {
		c := newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
		c.allocate(t)
		conns = append(conns, c.conn, dial(t, "tcp", srv.addr[transport])) // the latter silent
	}
	eventually(t, "all are accepted", func() bool { return srv.Connections() == 4 })
	for range 2 {
		if err := srv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if n, m := srv.Connections(), srv.Allocations(); n != 0 || m != 0 {
		t.Errorf("%d connections and %d allocations are left", n, m)
	}
	for _, c := range conns {
		expectClosed(t, c)
	}
	if _, err := srv.ListenTCP("127.0.0.1:0"); err == nil {
		t.Error("a closed server listens")
	}
	for _, addr := range srv.addr {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s is still open", addr)
		}
	}
}
