package diagnosis

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	"github.com/turngate/turngate/harness/credentials"
)

// TURN is the server to reach. It may be printed: it shows no secret.
type TURN struct {
	Address  string // host:port, as given to CONNECT
	Secure   bool   // TLS through the tunnel
	User     string
	Password credentials.Secret
	Pin      Pin         // of the server's key; default: any key of a trusted certificate
	TLS      *tls.Config // cloned; default: the system's roots, the host of Address
}

// ParseTURN reads a TURN URI (RFC 7065) that a proxy can carry: turn:host[:port]?transport=tcp or
// turns:host[:port][?transport=tcp]. Ports default to 3478 and 5349.
func ParseTURN(text string) (t TURN, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque == "" || u.Scheme != "turn" && u.Scheme != "turns" {
		return t, fmt.Errorf("%q: want turn:HOST:PORT?transport=tcp or turns:HOST:PORT", text)
	}
	t.Secure = u.Scheme == "turns"
	if transport := u.Query().Get("transport"); transport != "tcp" && (transport != "" || !t.Secure) {
		return t, fmt.Errorf("%q: an HTTP proxy carries tcp only: add ?transport=tcp", text)
	}
	port := "3478"
	if t.Secure {
		port = "5349"
	}
	authority, err := url.Parse("//" + u.Opaque)
	if err != nil || authority.Hostname() == "" || authority.Host != u.Opaque {
		return t, fmt.Errorf("%q: want HOST or HOST:PORT after the scheme", text)
	}
	if authority.Port() != "" {
		port = authority.Port()
	}
	t.Address = net.JoinHostPort(authority.Hostname(), port)
	return t, nil
}

func (t TURN) host() string {
	host, _, _ := net.SplitHostPort(t.Address)
	return host
}

func (t TURN) port() string {
	_, port, _ := net.SplitHostPort(t.Address)
	return port
}

// config is for the handshake with the server.
func (t TURN) config() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TLS != nil {
		config = t.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = t.host()
	}
	config.NextProtos = []string{"stun.turn"} // RFC 7443
	return config
}

// proxyAddress takes a proxy's URL apart, which proxyconnect has found valid.
func proxyAddress(text string) (host, port string, secure bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		u = &url.URL{Scheme: "http", Host: text}
	}
	secure = u.Scheme == "https"
	if port = u.Port(); port == "" {
		port = map[bool]string{false: "80", true: "443"}[secure]
	}
	return u.Hostname(), port, secure
}
