package proxyconnect

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// ICE adapts a Dialer to what pion/webrtc takes in SettingEngine.SetICEProxyDialer: a Dialer of
// golang.org/x/net/proxy that ICE hands TURN over TCP and TLS to. Two things need an adapter: ICE
// leaves the TLS of turns: to the dialer without telling it which address wants TLS, and it panics
// on a LocalAddr that is no *net.TCPAddr. It may be used concurrently.
type ICE struct {
	Dialer *Dialer

	// TLS returns the configuration for a TURN server (host:port as in the TURN URL), or nil for one
	// reached without TLS. It is cloned; an empty ServerName becomes the host. Default: no server
	// wants TLS.
	TLS func(address string) *tls.Config

	// Timeout bounds a dial with its TLS handshake. Default 30 s.
	Timeout time.Duration
}

// Dial opens a tunnel to address and, where it wants it, does TLS inside.
func (i ICE) Dial(network, address string) (net.Conn, error) {
	timeout := i.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := i.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	var config *tls.Config
	if i.TLS != nil {
		config = i.TLS(address)
	}
	if config == nil {
		return withTCPAddr(conn), nil
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &ConnectError{Stage: StageTunnelTLS, Proxy: redactedProxy(i.Dialer.Proxy), Target: address, Err: err}
	}
	return withTCPAddr(secure), nil
}

func withTCPAddr(conn net.Conn) net.Conn {
	if _, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return conn
	}
	return tcpAddrConn{conn}
}

// tcpAddrConn answers for a connection whose address is of another kind (a custom DialProxy).
type tcpAddrConn struct{ net.Conn }

func (tcpAddrConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }
