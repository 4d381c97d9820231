package turntcp

import (
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// pipeConn is one end of a net.Pipe with the addresses of a TCP connection.
type pipeConn struct{ net.Conn }

func (pipeConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3478} }
func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// A cutConn writes in pieces, of one byte more than each of its cuts says, and what is left at once.
type cutConn struct {
	net.Conn
	cuts []byte
}

func (c *cutConn) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		size := len(p) - n
		if len(c.cuts) > 0 {
			size = min(size, int(c.cuts[0])+1)
			c.cuts = c.cuts[1:]
		}
		var wrote int
		wrote, err = c.Conn.Write(p[n : n+size])
		n += wrote
	}
	return n, err
}

// How a fuzzed client goes about it.
const (
	fuzzTLS     = 1 << iota // and each piece is a record, which is cut as well
	fuzzPipe                // a connection that is not the kernel's
	fuzzNew                 // without an allocation
	fuzzSigned              // the input is attributes of a request: a type, a length in one byte, a value
	fuzzReset               // the end is RST, not FIN
	fuzzLingers             // the end comes when all has been read, not right behind it
)

// Whatever a client sends, in whatever pieces, the server neither crashes nor hangs, others are answered, and
// its connection and allocation end when it goes. Its channel leads to another client's relay.
func FuzzServerConn(f *testing.F) {
	for _, how := range []byte{0, fuzzTLS, fuzzPipe, fuzzNew, fuzzReset, fuzzTLS | fuzzReset, fuzzLingers} {
		for _, cuts := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x13\x04"} {
			f.Add(how, []byte(cuts), uint16(0), append(AppendChannelData(nil, firstChannel, []byte("x")), stunFrame(0x0016, 0)...))
		}
		f.Add(how, []byte{4}, uint16(0), []byte("\x40\x00\xff\xfc\x00\x00\x00\x00\x00"))
		f.Add(how, []byte{20}, uint16(0), []byte("\x00\x16\x00\x0c\x21\x12\xa4\x42............\x00\x13\x00\x04data\x00\x12\x00\x00"))
		for method, attributes := range map[stun.Method]string{
			stun.MethodAllocate:         "\x00\x19\x04\x11\x00\x00\x00\x00\x18\x01\x80\x00\x22\x08abcdefgh",
			stun.MethodRefresh:          "\x00\x0d\x04\x00\x00\x00\x00",
			stun.MethodCreatePermission: "\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43\x00\x12\x00",
			stun.MethodChannelBind:      "\x00\x0c\x04\x40\x01\x00\x00\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43",
			stun.MethodConnect:          "\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43",
		} {
			f.Add(how|fuzzSigned, []byte{0, 19, 100}, uint16(method), []byte(attributes))
		}
	}
	srv := newTestServer(f, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) }) // allows no peers but relays
	other := newFuzzClient(f, srv, 0)
	relay := other.allocate(f).Relayed
	f.Fuzz(func(t *testing.T, how byte, cuts []byte, method uint16, input []byte) {
		c := newFuzzClient(t, srv, how)
		if how&fuzzNew == 0 || how&fuzzSigned != 0 {
			c.allocate(t)
			if _, err := c.Bind(context10(t), relay); err != nil {
				t.Fatal(err)
			}
		}
		c.cut(cuts[:min(len(cuts), 32)])
		if how&fuzzSigned == 0 {
			_ = c.WriteFrames(input) // the server may end the connection before it has all
		} else {
			c.request(t, method, input)
		}
		if how&fuzzLingers != 0 {
			time.Sleep(time.Millisecond)
		}
		c.end(how&fuzzReset != 0)
		if _, err := other.Refresh(context10(t), 10*time.Minute); err != nil {
			t.Fatalf("another client's refresh: %v", err)
		}
		if err := other.CreatePermission(context10(t), loopback); err != nil {
			t.Fatalf("another client's permission: %v", err)
		}
		eventually(t, "only the other client is left", func() bool {
			srv.lookForEnds(nil)
			return srv.Connections() == 1 && srv.Allocations() == 1
		})
	})
}

// A fuzzClient can cut what it sends.
type fuzzClient struct {
	*testClient
	above, below *cutConn // of TLS
}

func newFuzzClient(t testing.TB, srv *testServer, how byte) *fuzzClient {
	t.Helper()
	c := new(fuzzClient)
	if how&fuzzPipe != 0 {
		server, client := net.Pipe()
		srv.admit(pipeConn{server}, entrance{})
		c.below = &cutConn{Conn: client}
		c.above = c.below
	} else {
		transport := transports[how&fuzzTLS]
		c.below = &cutConn{Conn: dial(t, "tcp", srv.addr[transport])}
		c.above = c.below
		if transport == "tls" {
			secure := secured(c.below)
			if err := secure.(*tls.Conn).HandshakeContext(context10(t)); err != nil {
				t.Fatal(err)
			}
			c.above = &cutConn{Conn: secure}
		}
	}
	c.testClient = &testClient{Client: NewClient(c.above, ClientConfig{Username: testUser, Password: testPassword})}
	t.Cleanup(func() { c.Close() })
	return c
}

// cut cuts what is sent from now on.
func (c *fuzzClient) cut(cuts []byte) { c.above.cuts, c.below.cuts = cuts, cuts }

// request sends a signed request, and then another, to which there must be an answer.
func (c *fuzzClient) request(t *testing.T, method uint16, attributes []byte) {
	request, err := stun.Build(signedRequest(c.Client, method, attributes)...)
	if err != nil {
		t.Skip(err)
	}
	if err := c.WriteFrames(request.Raw); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Binding(context10(t)); err != nil && len(request.Raw) < maxServerFrame {
		t.Errorf("binding after %x: %v", request.Raw, err)
	}
}

func (c *fuzzClient) end(reset bool) {
	if tcp, ok := c.below.Conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
		tcp.Close()
	}
	c.Close()
}

func signedRequest(c *Client, method uint16, attributes []byte) []stun.Setter {
	setters := []stun.Setter{stun.TransactionID, stun.NewType(stun.Method(method&0xfff), stun.ClassRequest)}
	for len(attributes) >= 3 {
		n := min(int(attributes[2]), len(attributes)-3)
		setters = append(setters, stun.RawAttribute{
			Type:  stun.AttrType(uint16(attributes[0])<<8 | uint16(attributes[1])),
			Value: attributes[3 : 3+n],
		})
		attributes = attributes[3+n:]
	}
	return append(setters, stun.NewUsername(testUser), c.auth.realm, c.auth.nonce, c.auth.key)
}
