package turntcp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if besieged := os.Getenv(siegeVariable); besieged != "" {
		serveSiege(besieged)
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	testRealm    = "turn.example.test"
	testUser     = "alice"
	testPassword = "open sesame"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// certificate is for 127.0.0.1, with a pool that trusts it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

func serverCertificate() *tls.Config {
	cert, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// testServer is a server on loopback that listens for TCP and TLS, with its log.
type testServer struct {
	*Server
	addr map[string]string // by transport
	log  *logBuffer
}

func newTestServer(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	s := &testServer{addr: make(map[string]string), log: new(logBuffer)}
	cfg := Config{
		Realm:       testRealm,
		Credentials: StaticCredentials(map[string]string{testUser: testPassword, "bob": "bob's"}),
		RelayIP:     loopback,
		TLS:         serverCertificate(),
		Logger:      slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.Server, err = NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	for transport, listen := range map[string]func(string) (net.Addr, error){"tcp": s.ListenTCP, "tls": s.ListenTLS} {
		addr, err := listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addr[transport] = addr.String()
	}
	return s
}

func allowLoopback(c *Config) { c.AllowPeers = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

// logBuffer collects a log from any number of goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var transports = []string{"tcp", "tls"}

// dial connects by "tcp" or "tls".
func dial(t testing.TB, transport, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if transport == "tls" {
		conn = secured(conn)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func secured(conn net.Conn) net.Conn {
	_, pool := certificate()
	return tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{alpnTURN}})
}

// datagram is Data with a payload of its own.
type datagram struct {
	channel uint16
	peer    netip.AddrPort
	payload string
}

// testClient is a client whose data comes by a channel.
type testClient struct {
	*Client
	data chan datagram
}

func newTestClient(t testing.TB, conn net.Conn, cfg ClientConfig) *testClient {
	t.Helper()
	c := &testClient{data: make(chan datagram, 1000)}
	if cfg.Username == "" {
		cfg.Username, cfg.Password = testUser, testPassword
	}
	cfg.OnData = func(d Data) { c.data <- datagram{d.Channel, d.Peer, string(d.Payload)} }
	c.Client = NewClient(conn, cfg)
	t.Cleanup(func() { c.Close() })
	return c
}

func (c *testClient) receive(t testing.TB) datagram {
	t.Helper()
	select {
	case d := <-c.data:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("no datagram within 10 s")
		return datagram{}
	}
}

func (c *testClient) allocate(t testing.TB) Allocation {
	t.Helper()
	a, err := c.Allocate(context10(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// context10 ends after 10 s, far beyond what anything here takes.
func context10(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// echoPeer sends every datagram back to whence it came.
func echoPeer(t testing.TB) netip.AddrPort {
	t.Helper()
	conn := udpSocket(t)
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return addrPort(conn.LocalAddr())
}

func udpSocket(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(relayBuffer)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := netip.MustParseAddrPort(a.String())
	return netip.AddrPortFrom(plain(ap.Addr()), ap.Port())
}

// eventually waits for what no event tells.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for pause := 10 * time.Microsecond; !cond(); pause = min(2*pause, time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(pause)
	}
}

// peerSocket is a peer that the test speaks for.
type peerSocket struct{ *net.UDPConn }

func (p peerSocket) receive(t testing.TB) []byte {
	t.Helper()
	buf := make([]byte, 65536)
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := p.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("the peer got nothing: %v", err)
	}
	return buf[:n]
}
