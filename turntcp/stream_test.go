package turntcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

func offerTCP(c *Config) {
	allowLoopback(c)
	c.TCPRelays = true
}

// tcpPeer listens, and hands over what connects.
func tcpPeer(t *testing.T) (netip.AddrPort, <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns, done := make(chan net.Conn, 10), make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns <- nc
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for range len(conns) {
			(<-conns).Close()
		}
	})
	return addrPort(l.Addr()), conns
}

func connect(t *testing.T, c *testClient, peer netip.AddrPort) (id []byte, err error) {
	t.Helper()
	response, err := c.do(context10(t), stun.MethodConnect, peerAddress(peer))
	if err != nil {
		return nil, err
	}
	if id, err = response.Get(stun.AttrConnectionID); err != nil || len(id) != 4 {
		t.Fatalf("Connect: got %v, want a CONNECTION-ID", response)
	}
	return id, nil
}

// bind makes a connection of its own that of a stream. It reads no byte beyond the response.
func bind(t *testing.T, srv *testServer, transport string, cfg ClientConfig, id []byte) (net.Conn, error) {
	t.Helper()
	nc := dial(t, transport, srv.addr[transport])
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if cfg.Username == "" {
		cfg.Username, cfg.Password = testUser, testPassword
	}
	what := []stun.Setter{stun.TransactionID, stun.NewType(stun.MethodConnectionBind, stun.ClassRequest), attribute(stun.AttrConnectionID, id...)}
	for {
		if _, err := nc.Write(stun.MustBuild(what...).Raw); err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, stunHeader, 1000)
		if _, err := io.ReadFull(nc, raw); err != nil {
			t.Fatal(err)
		}
		raw = raw[:Frame(raw).size()]
		if _, err := io.ReadFull(nc, raw[stunHeader:]); err != nil {
			t.Fatal(err)
		}
		response := &stun.Message{Raw: raw}
		if err := response.Decode(); err != nil {
			t.Fatal(err)
		}
		if response.Type.Class == stun.ClassSuccessResponse {
			return nc, nil
		}
		err := responseError(response, true)
		if len(what) > 3 || err.(*Error).Code != 401 {
			nc.Close()
			return nil, err
		}
		var auth longTerm
		if err := errors.Join(auth.realm.GetFrom(response), auth.nonce.GetFrom(response)); err != nil {
			t.Fatal(err)
		}
		what = append(what, stun.NewUsername(cfg.Username), auth.realm, auth.nonce,
			stun.NewLongTermIntegrity(cfg.Username, auth.realm.String(), cfg.Password))
	}
}

func exchangeOver(t *testing.T, a, b io.ReadWriter, payload string) {
	t.Helper()
	for _, way := range [][2]io.ReadWriter{{a, b}, {b, a}} {
		go func() { _, _ = io.WriteString(way[0], payload) }()
		got := make([]byte, len(payload))
		if _, err := io.ReadFull(way[1], got); err != nil || string(got) != payload {
			t.Fatalf("got %d bytes, %v, want the %d that were sent", len(got), err, len(payload))
		}
	}
}

func tcpAllocated(t *testing.T, srv *testServer, transport string) (*testClient, netip.AddrPort) {
	t.Helper()
	c := newTestClient(t, dial(t, transport, srv.addr[transport]), ClientConfig{})
	response, err := allocateWith(context10(t), c, 6)
	if err != nil {
		t.Fatal(err)
	}
	relayed, err := address(response, stun.AttrXORRelayedAddress)
	if err != nil {
		t.Fatal(err)
	}
	return c, relayed
}

// A stream to a peer comes from the relay's address, carries bytes as they are, and ends with either
// side.
func TestTCPConnect(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			started := make(chan StreamStart, 10)
			srv := newTestServer(t, func(c *Config) {
				offerTCP(c)
				c.OnStream = func(s StreamStart) { started <- s }
			})
			c, relayed := tcpAllocated(t, srv, transport)
			at, conns := tcpPeer(t)
			id, err := connect(t, c, at)
			if err != nil {
				t.Fatal(err)
			}
			peer := <-conns
			defer peer.Close()
			if got := addrPort(peer.RemoteAddr()); got != relayed {
				t.Errorf("the peer sees %v, want the relay, %v", got, relayed)
			}
			if _, err := connect(t, c, at); refusal(t, err) != 446 {
				t.Errorf("a second connection to the peer: got %v, want 446", err)
			}
			data, err := bind(t, srv, transport, ClientConfig{}, id)
			if err != nil {
				t.Fatal(err)
			}
			_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
			exchangeOver(t, data, peer, "hello")
			exchangeOver(t, data, peer, strings.Repeat("0123456789abcdef", 1<<16)) // 1 MB
			if s := <-started; s.Client.String() != data.LocalAddr().String() || s.Control != 1 || s.User != testUser || s.Relay != relayed || s.Peer != at {
				t.Errorf("told of %+v, want the connection from %v", s, data.LocalAddr())
			}
			if _, err := bind(t, srv, transport, ClientConfig{}, id); refusal(t, err) != 400 {
				t.Errorf("a second connection for the stream: got %v, want 400", err)
			}
			peer.Close()
			if n, err := io.Copy(io.Discard, data); err != nil && !isClosed(err) || n != 0 {
				t.Errorf("the client's side: got %d bytes, %v, want its end", n, err)
			}
			srv.allocationStats(t, "what the stream carried", func(s AllocationStats) bool {
				return s.TCP && s.Up.Bytes == 5+1<<20 && s.Down.Bytes == 5+1<<20 &&
					len(s.Peers) == 1 && s.Peers[0] == PeerStats{at, s.Up, s.Down} // the stream is a peer
			})
			eventually(t, "the stream is gone", func() bool { return srv.Connections() == 1 })
			if _, err := c.Refresh(context10(t), 0); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the port is free", func() bool { return !srv.relays.hosts[0].tcp.has(relayed.Port()) })
		})
	}
}

// A peer that has a permission may connect to the relay; the client is told and binds.
func TestTCPConnectionAttempt(t *testing.T) {
	srv := newTestServer(t, offerTCP)
	nc := dial(t, "tcp", srv.addr["tcp"])
	recorder := &recorder{Conn: nc}
	c := newTestClient(t, recorder, ClientConfig{})
	response, err := allocateWith(context10(t), c, 6)
	if err != nil {
		t.Fatal(err)
	}
	relayed, err := address(response, stun.AttrXORRelayedAddress)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Dial("tcp", relayed.String())
	if err != nil {
		t.Fatal(err)
	}
	expectClosed(t, stranger) // no permission
	if err := c.CreatePermission(context10(t), loopback); err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("tcp", relayed.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := io.WriteString(peer, "early"); err != nil { // is kept until the client binds
		t.Fatal(err)
	}
	var attempt *stun.Message
	eventually(t, "the client is told", func() bool { attempt = recorder.find(typeConnectionAttempt); return attempt != nil })
	from, err := address(attempt, stun.AttrXORPeerAddress)
	if err != nil || from != addrPort(peer.LocalAddr()) {
		t.Errorf("the attempt is of %v, %v, want %v", from, err, peer.LocalAddr())
	}
	id, err := attempt.Get(stun.AttrConnectionID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bind(t, srv, "tcp", ClientConfig{Username: "bob", Password: "bob's"}, id); refusal(t, err) != 400 {
		t.Errorf("another user's stream: got %v, want 400", err)
	}
	data, err := bind(t, srv, "tcp", ClientConfig{}, id)
	if err != nil {
		t.Fatal(err)
	}
	early := make([]byte, 5)
	if _, err := io.ReadFull(data, early); err != nil || string(early) != "early" {
		t.Errorf("got %q, %v", early, err)
	}
	_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
	exchangeOver(t, data, peer, "hello")

	// The allocation's end is that of its streams.
	c.Close()
	for _, side := range []net.Conn{data, peer} {
		expectClosed(t, side)
	}
	expectNothingLeft(t, srv)
}

const typeConnectionAttempt = 0x001C

// recorder keeps what was read.
type recorder struct {
	net.Conn
	log logBuffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	_, _ = r.log.Write(p[:n])
	return n, err
}

func (r *recorder) find(kind uint16) *stun.Message {
	frames := NewFrameReader(strings.NewReader(r.log.String()), 0)
	for frame, err := frames.ReadFrame(); err == nil; frame, err = frames.ReadFrame() {
		if frame.messageType() == kind {
			m := &stun.Message{Raw: bytes.Clone(frame)}
			if m.Decode() == nil {
				return m
			}
		}
	}
	return nil
}

func TestTCPRefusals(t *testing.T) {
	srv := newTestServer(t, offerTCP)
	c, relayed := tcpAllocated(t, srv, "tcp")
	udp := newPlainClient(t, srv)
	udp.allocate(t)
	listening := netip.MustParseAddrPort(srv.addr["tcp"])
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	request := func(c *testClient, method stun.Method, attributes ...stun.Setter) func() error {
		return func() error { _, err := c.do(context10(t), method, attributes...); return err }
	}
	allocate := func(attributes ...stun.Setter) func() error {
		return func() error {
			_, err := allocateWith(context10(t), newPlainClient(t, srv), 6, attributes...)
			return err
		}
	}
	tests := []struct {
		name string
		do   func() error
		want int
	}{
		{"even port", allocate(attribute(stun.AttrEvenPort, 0)), 400},
		{"token", allocate(attribute(stun.AttrReservationToken, []byte("12345678")...)), 400},
		{"do not fragment", allocate(attribute(stun.AttrDontFragment)), 420},
		{"connect without an allocation", request(newPlainClient(t, srv), stun.MethodConnect, peerAddress(relayed)), 437},
		{"connect with a relay for UDP", request(udp, stun.MethodConnect, peerAddress(relayed)), 403},
		{"connect to nobody", request(c, stun.MethodConnect), 400},
		{"connect to a forbidden peer", request(c, stun.MethodConnect, peerAddress(netip.MustParseAddrPort("10.9.9.9:80"))), 403},
		{"connect to a port of ours", request(c, stun.MethodConnect, peerAddress(listening)), 403},
		{"connect to port 0", request(c, stun.MethodConnect, peerAddress(netip.AddrPortFrom(loopback, 0))), 403},
		{"connect where nobody listens", request(c, stun.MethodConnect, peerAddress(addrPort(closed.Addr()))), 447},
		{"bind to no stream", request(newPlainClient(t, srv), stun.MethodConnectionBind, attribute(stun.AttrConnectionID, 0, 0, 0, 1)), 400},
		{"bind to nothing", request(newPlainClient(t, srv), stun.MethodConnectionBind), 400},
		{"channel", request(c, stun.MethodChannelBind, peerAddress(netip.AddrPortFrom(loopback, 9)), attribute(stun.AttrChannelNumber, 0x40, 0, 0, 0)), 400},
	}
	for _, tt := range tests {
		if got := refusal(t, tt.do()); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	srv.streams.mu.Lock()
	defer srv.streams.mu.Unlock()
	if n := len(srv.streams.byID); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// pion's client over our server, both ways.
func TestPionTCP(t *testing.T) {
	srv := newTestServer(t, offerTCP)
	conn := dial(t, "tcp", srv.addr["tcp"])
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: srv.addr["tcp"], TURNServerAddr: srv.addr["tcp"], Conn: turn.NewSTUNConn(conn),
		Username: testUser, Password: testPassword, Realm: testRealm, LoggerFactory: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := c.AllocateTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	at, conns := tcpPeer(t)
	data, err := relay.DialWithConn(dial(t, "tcp", srv.addr["tcp"]), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	peer := <-conns
	defer peer.Close()
	_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
	exchangeOver(t, data, peer, strings.Repeat("x", 100_000))
}

func TestMeteredStream(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { offerTCP(c); c.UserRate = 8 * 1_000_000 })
	c, _ := tcpAllocated(t, srv, "tcp")
	at, conns := tcpPeer(t)
	id, err := connect(t, c, at)
	if err != nil {
		t.Fatal(err)
	}
	peer := <-conns
	defer peer.Close()
	data, err := bind(t, srv, "tcp", ClientConfig{}, id)
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
	began := time.Now()
	exchangeOver(t, data, peer, strings.Repeat("x", 500_000)) // 0.3 s each way beyond the burst
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("a MB took %v at a MB/s each way", took)
	}
}
