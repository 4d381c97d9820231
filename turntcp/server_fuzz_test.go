package turntcp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

// pipeConn is one end of a net.Pipe with the addresses of a TCP connection.
type pipeConn struct{ net.Conn }

func (pipeConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3478} }
func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// Whatever a client with an allocation sends, the server neither crashes nor hangs, and its
// connection and allocation end when the client goes. Half of the inputs are attributes of a signed
// request, to get past the authentication: a type, a length in one byte, a value.
func FuzzServerConn(f *testing.F) {
	f.Add(true, uint16(stun.MethodAllocate), []byte("\x00\x19\x04\x11\x00\x00\x00"))
	f.Add(true, uint16(stun.MethodAllocate), []byte("\x00\x19\x04\x11\x00\x00\x00\x00\x18\x01\x80\x00\x22\x08abcdefgh"))
	f.Add(true, uint16(stun.MethodRefresh), []byte("\x00\x0d\x04\x00\x00\x00\x00"))
	f.Add(true, uint16(stun.MethodCreatePermission), []byte("\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43\x00\x12\x00"))
	f.Add(true, uint16(stun.MethodChannelBind), []byte("\x00\x0c\x04\x40\x01\x00\x00\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43"))
	f.Add(true, uint16(stun.MethodConnect), []byte("\x00\x12\x08\x00\x01\x21\x12\x5e\x12\xa4\x43"))
	f.Add(false, uint16(0), []byte("\x40\x00\xff\xfc\x00\x00\x00\x00\x00"))
	f.Add(false, uint16(0), append(AppendChannelData(nil, 0x4000, []byte("x")), stunFrame(0x0016, 0)...))
	f.Add(false, uint16(0), []byte("\x00\x16\x00\x0c\x21\x12\xa4\x42............\x00\x13\x00\x04data\x00\x12\x00\x00"))
	f.Fuzz(func(t *testing.T, signed bool, method uint16, input []byte) {
		srv := newTestServer(t, nil) // allows no peers: nothing is sent anywhere
		server, client := net.Pipe()
		srv.admit(pipeConn{server}, entrance{})
		c := newTestClient(t, client, ClientConfig{})
		c.allocate(t)
		if _, err := c.Bind(context10(t), netip.AddrPortFrom(loopback, 9)); err != nil {
			t.Fatal(err)
		}
		if !signed {
			_ = c.WriteFrames(input) // the server may end the connection before it has all
			c.Close()
			expectNothingLeft(t, srv)
			return
		}
		request, err := stun.Build(signedRequest(c.Client, method, input)...)
		if err != nil {
			t.Skip(err)
		}
		if err := c.WriteFrames(request.Raw); err != nil {
			t.Fatal(err)
		}
		_, err = c.Binding(context10(t))
		if err != nil && len(request.Raw) < maxServerFrame {
			t.Errorf("binding after %x: %v", request.Raw, err)
		}
		c.Close()
		expectNothingLeft(t, srv)
	})
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
