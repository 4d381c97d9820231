package proxyconnect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// ICE adapts a Dialer to what pion/webrtc takes in SettingEngine.SetICEProxyDialer: a Dialer of
// golang.org/x/net/proxy that ICE hands TURN over TCP and TLS to. What makes an adapter necessary
// (pion/ice v4): it leaves the TLS of turns: to the dialer without telling it which address wants TLS;
// it dials every server for IPv4 and for IPv6 at the same time, which would mean two tunnels, and two
// failures for one wrong password; it panics on a LocalAddr that is no *net.TCPAddr; and it does not
// pass on why a dial failed. It may be used concurrently.
type ICE struct {
	Dialer *Dialer

	// TLS returns the configuration for a TURN server (host:port as in the TURN URL), or nil for one
	// reached without TLS. It is cloned; an empty ServerName becomes the host. Default: no server
	// wants TLS.
	TLS func(address string) *tls.Config

	// Failed is called with every error before ICE gets it, by any number of goroutines.
	Failed func(error)

	// Timeout bounds a dial with its TLS handshake. Default 30 s.
	Timeout time.Duration

	// BothFamilies lets ICE have its two tunnels. It is needed where ICE gathers for IPv6 alone.
	BothFamilies bool
}

var errOneTunnel = errors.New("one tunnel is enough: the one for IPv4")

// Dial opens a tunnel to address and, where it wants it, does TLS inside. Whether the way to the proxy
// is IPv4 or IPv6 does not depend on network, and the way beyond it is the proxy's affair; a dial for
// tcp6 is refused unless address is an IPv6 literal or BothFamilies is set.
func (i ICE) Dial(network, address string) (net.Conn, error) {
	if network == "tcp6" && !i.BothFamilies && !isIPv6(address) {
		return nil, errOneTunnel
	}
	timeout := i.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := i.dial(ctx, address)
	if err != nil {
		call(i.Failed, err)
		return nil, err
	}
	if _, ok := conn.LocalAddr().(*net.TCPAddr); !ok {
		conn = tcpAddrConn{conn}
	}
	return conn, nil
}

func (i ICE) dial(ctx context.Context, address string) (net.Conn, error) {
	if i.TLS != nil {
		if config := i.TLS(address); config != nil {
			return i.Dialer.DialTLSContext(ctx, "tcp", address, config)
		}
	}
	return i.Dialer.DialContext(ctx, "tcp", address)
}

func isIPv6(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.To4() == nil
}

// tcpAddrConn answers for a connection whose address is of another kind (a custom DialProxy).
type tcpAddrConn struct{ net.Conn }

func (tcpAddrConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }
