package turntcp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pires/go-proxyproto"
)

func listenAuto(t *testing.T, srv *testServer) string {
	t.Helper()
	addr, err := srv.ListenAuto("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

// One port takes both, also where the first byte comes alone.
func TestAuto(t *testing.T) {
	srv := newTestServer(t, allowLoopback)
	addr := listenAuto(t, srv)
	var conns []net.Conn
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			conn := dial(t, transport, addr)
			conns = append(conns, conn)
			c := newTestClient(t, conn, ClientConfig{})
			c.allocate(t)
			peer := echoPeer(t)
			if _, err := c.Bind(context10(t), peer); err != nil {
				t.Fatal(err)
			}
			if err := c.WriteChannel(firstChannel, []byte("there and back")); err != nil {
				t.Fatal(err)
			}
			if got := c.receive(t); got.payload != "there and back" {
				t.Errorf("got %+v", got)
			}
			for s := range statsOf(srv) {
				if s.Client.String() == conn.LocalAddr().String() && s.Transport != transport {
					t.Errorf("its transport is %s", s.Transport)
				}
			}
		})
	}
	if secure, ok := conns[1].(*tls.Conn); !ok || secure.ConnectionState().NegotiatedProtocol != alpnTURN {
		t.Error("TLS did not agree on stun.turn")
	}
}

func TestAutoByteByByte(t *testing.T) {
	srv := newTestServer(t, nil)
	conn := dial(t, "tcp", listenAuto(t, srv))
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	for i := range request {
		if _, err := conn.Write(request[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	response := make([]byte, stunHeader)
	if _, err := io.ReadFull(conn, response); err != nil || !bytes.Equal(response[8:], request[8:stunHeader]) {
		t.Errorf("got %x, %v, want the response to %x", response, err, request)
	}
}

// Who says nothing, or nonsense, is closed.
func TestAutoEndsWhoSaysNothing(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.HandshakeTimeout, c.FirstRequestTimeout = 50*time.Millisecond, 50*time.Millisecond })
	addr := listenAuto(t, srv)
	for _, first := range []string{"", "\x16", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n", "\x16garbage that is no TLS"} {
		conn := dial(t, "tcp", addr)
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
		expectClosed(t, conn)
	}
	expectNothingLeft(t, srv)
}

func TestPeekable(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			srv := newTestServer(t, nil)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if err := srv.StartAuto(opaque{l}); err != nil {
				t.Fatal(err)
			}
			newTestClient(t, dial(t, transport, l.Addr().String()), ClientConfig{}).allocate(t)
		})
	}
}

// opaque accepts connections that the system cannot look into.
type opaque struct{ net.Listener }

func (o opaque) Accept() (net.Conn, error) {
	conn, err := o.Listener.Accept()
	return struct{ net.Conn }{conn}, err
}

func header(t *testing.T, version byte, from string) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))
	to := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}
	if source.IP.To4() == nil {
		to.IP = net.ParseIP("2001:db8::1")
	}
	raw, err := proxyproto.HeaderProxyFromAddrs(version, source, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const sigV2 = "\r\n\r\n\x00\r\nQUIT\n"

func TestReadProxyHeader(t *testing.T) {
	tests := []struct {
		name, header string
		want         string // address, "" for none
		bad          bool
	}{
		{"version 1", header(t, 1, "198.51.100.7:40000"), "198.51.100.7:40000", false},
		{"version 1, IPv6", header(t, 1, "[2001:db8::7]:40000"), "[2001:db8::7]:40000", false},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", "", false},
		{"version 1, unknown with what is to be ignored", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", false},
		{"version 2", header(t, 2, "198.51.100.7:40000"), "198.51.100.7:40000", false},
		{"version 2, IPv6", header(t, 2, "[2001:db8::7]:40000"), "[2001:db8::7]:40000", false},
		{"version 2, IPv4-mapped", sigV2 + "\x21\x21\x00\x24" + strings.Repeat("\x00", 10) + "\xff\xff\xc6\x33\x64\x07" +
			strings.Repeat("\x00", 15) + "\x01\x9c\x40\x01\xbb", "198.51.100.7:40000", false},
		{"version 2, local", sigV2 + "\x20\x00\x00\x00", "", false},
		{"version 2, local with an address", sigV2 + "\x20\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02", "", false},
		{"version 2, of no family", sigV2 + "\x21\x00\x00\x00", "", false},
		{"version 2, of no family with what is to be ignored", sigV2 + "\x21\x00\x00\x03abc", "", false},
		{"version 2 with extensions", sigV2 + "\x21\x11\x00\x11\xc6\x33\x64\x07\xc0\x00\x02\x01\x9c\x40\x01\xbb\x04\x00\x02ab", "198.51.100.7:40000", false},
		{"none", "\x00\x01\x00\x00\x21\x12\xa4\x42", "", true},
		{"almost version 1", "PROXY\r\n", "", true},
		{"almost version 2", "\r\n\r\n\x00\r\nQUIT!\x21\x11\x00\x00", "", true},
		{"a line without end", "PROXY TCP4 " + strings.Repeat("1", 200), "", true},
		{"an endless version 2", sigV2 + "\x21\x11\xff\xff", "", true},
		{"too short for its family", sigV2 + "\x21\x11\x00\x04\x01\x02\x03\x04", "", true},
		{"a port out of range", "PROXY TCP4 198.51.100.7 192.0.2.1 70000 443\r\n", "", true},
		{"cut off", sigV2 + "\x21\x11\x00\x0c\x01", "", true},
		{"nothing", "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const rest = "\x16\x03\x01"
			r := strings.NewReader(tt.header)
			if !tt.bad {
				r = strings.NewReader(tt.header + rest)
			}
			got, err := readProxyHeader(r)
			if (err != nil) != tt.bad || err == nil && got.IsValid() != (tt.want != "") || got.IsValid() && got.String() != tt.want {
				t.Errorf("got %v, %v, want %q", got, err, tt.want)
			}
			if left, _ := io.ReadAll(r); err == nil && string(left) != rest {
				t.Errorf("%q is left, want %q", left, rest)
			}
		})
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{"PROXY TCP4 198.51.100.7 192.0.2.1 40000 443\r\n", "PROXY UNKNOWN\r\n", sigV2 + "\x20\x00\x00\x00",
		sigV2 + "\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"} {
		f.Add([]byte(seed), []byte("rest"))
	}
	f.Fuzz(func(t *testing.T, head, rest []byte) {
		whole := bytes.NewReader(append(bytes.Clone(head), rest...))
		size := whole.Len()
		at, err := readProxyHeader(whole)
		if taken := size - whole.Len(); taken > fixedV2+maxHeaderV2 {
			t.Errorf("took %d bytes", taken)
		}
		if err == nil && at.IsValid() && at.Addr().Is4In6() {
			t.Errorf("%v is not plain", at)
		}
	})
}

// The announced address is a label: in the log, the statistics and the limits; for TURN the client's
// address is the socket's.
func TestProxyProtocol(t *testing.T) {
	srv := newTestServer(t, func(c *Config) { c.ProxyProtocolFrom = prefixes("127.0.0.0/8") })
	auto := listenAuto(t, srv)
	for _, listener := range []string{"tcp", "tls", "auto"} {
		for version := byte(1); version <= 2; version++ {
			t.Run(fmt.Sprintf("%s/version %d", listener, version), func(t *testing.T) {
				addr, secure := srv.addr[listener], listener == "tls"
				if listener == "auto" {
					addr, secure = auto, true
				}
				conn := dial(t, "tcp", addr)
				if _, err := io.WriteString(conn, header(t, version, "198.51.100.7:40000")); err != nil {
					t.Fatal(err)
				}
				over := conn
				if secure {
					_, pool := certificate()
					over = tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
				}
				c := newTestClient(t, over, ClientConfig{})
				if a := c.allocate(t); a.Mapped != addrPort(conn.LocalAddr()) {
					t.Errorf("mapped address is %v, want the socket's, %v", a.Mapped, conn.LocalAddr())
				}
				for s := range statsOf(srv) {
					if s.Announced.String() != "198.51.100.7:40000" || s.Client.String() != conn.LocalAddr().String() || s.Connection == 0 {
						t.Errorf("got %+v", s.ConnInfo)
					}
				}
				c.Close()
				eventually(t, "it is gone", func() bool { return srv.Allocations() == 0 })
			})
		}
	}
	if log := srv.log.String(); !strings.Contains(log, "announced=198.51.100.7:40000") {
		t.Error("the announced address is not in the log")
	}
}

// A header is demanded of those that are listed, and not believed of others.
func TestProxyProtocolSources(t *testing.T) {
	listed := newTestServer(t, func(c *Config) {
		c.ProxyProtocolFrom, c.HandshakeTimeout = prefixes("127.0.0.1/32"), 100*time.Millisecond
	})
	others := newTestServer(t, func(c *Config) {
		c.ProxyProtocolFrom, c.FirstRequestTimeout = prefixes("127.0.0.2/32 10.0.0.0/8"), time.Second
	})
	tests := []struct {
		name string
		srv  *testServer
		sent string
	}{
		{"listed, without a header", listed, string(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)},
		{"listed, half a header", listed, "PROXY TCP4 "},
		{"listed, silent", listed, ""},
		{"not listed, with a header", others, header(t, 1, "198.51.100.7:40000")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, "tcp", tt.srv.addr["tcp"])
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			expectClosed(t, conn)
		})
	}
	newPlainClient(t, others).allocate(t)
}

func TestMaxConnectionsPerIP(t *testing.T) {
	srv := newTestServer(t, func(c *Config) {
		c.MaxConnectionsPerIP, c.ProxyProtocolFrom = 1, prefixes("127.0.0.1/32")
	})
	connect := func(from string) (*testClient, error) {
		conn := dial(t, "tcp", srv.addr["tcp"])
		if _, err := io.WriteString(conn, header(t, 2, from)); err != nil {
			t.Fatal(err)
		}
		c := newTestClient(t, conn, ClientConfig{})
		_, err := c.Allocate(context10(t))
		return c, err
	}
	first, err := connect("198.51.100.7:1")
	if err != nil {
		t.Fatal(err)
	}
	var refused *Error
	if _, err := connect("198.51.100.7:2"); err == nil || errors.As(err, &refused) {
		t.Errorf("a second connection of an address: got %v, want the end of the connection", err)
	}
	if _, err := connect("198.51.100.8:1"); err != nil {
		t.Errorf("another address: %v", err)
	}
	first.Close()
	eventually(t, "the first is gone", func() bool { return srv.Connections() == 1 })
	if _, err := connect("198.51.100.7:3"); err != nil {
		t.Errorf("after the first: %v", err)
	}
}
