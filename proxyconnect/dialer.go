package proxyconnect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Dialer opens tunnels through one proxy. It may be used concurrently as long as its fields are
// not changed. It satisfies Dialer and ContextDialer of golang.org/x/net/proxy.
type Dialer struct {
	// Proxy is the proxy's URL: http://host:port, https://host:port, or host:port for http. Ports
	// default to 80 and 443. It must not hold a user or password.
	Proxy string

	// Mechanisms are tried in this order, as far as the proxy offers their schemes. One that has
	// nothing to prove itself with gives way to the next; a rejection counts against the Budget.
	// None: the proxy must let us through without.
	Mechanisms []Mechanism

	// AllowBasicOverHTTP permits Basic over a connection that is not encrypted. Otherwise Basic
	// gives way to the next mechanism there.
	AllowBasicOverHTTP bool

	// Budget bounds rejections over all dials that share it. Default: a budget of one rejection for
	// each dial.
	Budget *Budget

	// TLS configures the connection to an https proxy; it is cloned. Default: the system's roots,
	// the proxy's host name, TLS 1.2 or later.
	TLS *tls.Config

	// Header is added to every CONNECT (User-Agent, for instance, which is not sent otherwise). It
	// must not contain Host or Proxy-Authorization.
	Header http.Header

	// ALPN names the protocols that the tunnel will carry, in the ALPN header field (RFC 7639), such
	// as "stun.turn" or "webrtc" (RFC 8835 section 3.4 demands it of WebRTC endpoints). Default: no
	// such field.
	ALPN []string

	// Timeout bounds a whole dial, all connections and legs together, beside the context's deadline.
	// Default 30 s.
	Timeout time.Duration

	// DialProxy opens the connection to the proxy; address is host:port. Default: net.Dialer.
	DialProxy func(ctx context.Context, network, address string) (net.Conn, error)
}

const defaultTimeout = 30 * time.Second

// Validate tells what is wrong with the fields without connecting anywhere.
func (d *Dialer) Validate() error {
	if _, err := parseProxy(d.Proxy); err != nil {
		return err
	}
	if err := validMechanisms(d.Mechanisms); err != nil {
		return err
	}
	_, err := connectRequest("host:1", d.Header, d.ALPN)
	return err
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(network, target string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, target)
}

// DialContext returns a connection to target, host:port, made by the proxy: a *Conn. The proxy
// resolves the host. network is "tcp", "tcp4" or "tcp6", the last two for connecting to the proxy
// only. Every error is a *ConnectError; it wraps the context's cause when that ended the dial.
func (d *Dialer) DialContext(ctx context.Context, network, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()

	a := &dial{Dialer: d, ctx: ctx, network: network, trace: traceOf(ctx), budget: d.Budget}
	if a.budget == nil {
		a.budget = new(Budget)
	}
	a.fail = ConnectError{Stage: StageConfig, Proxy: redactedProxy(d.Proxy), Target: target}
	conn, err := a.run(target)
	if err == nil {
		return conn, nil
	}
	a.close()
	a.fail.Err, a.fail.Legs, a.fail.Dials = withCause(ctx, err), a.legs, a.dials
	return nil, &a.fail
}

// DialTLSContext is DialContext with a TLS handshake through the tunnel, as turns: wants it. config is
// cloned; an empty ServerName becomes the target's host, and nil is the system's roots. The Dialer's
// TLS, in contrast, is for the proxy. The connection's NetConn is the *Conn.
func (d *Dialer) DialTLSContext(ctx context.Context, network, target string, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	tunnel, err := d.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		config = config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(target)
	}
	conn := tls.Client(tunnel, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		tunnel.Close()
		return nil, &ConnectError{Stage: StageTunnelTLS, Proxy: redactedProxy(d.Proxy), Target: target, Err: withCause(ctx, err)}
	}
	return conn, nil
}

func (d *Dialer) timeout() time.Duration {
	if d.Timeout <= 0 {
		return defaultTimeout
	}
	return d.Timeout
}

// withCause says of an error that the end of the context brought about what ended it.
func withCause(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil, errors.Is(err, cause):
		return err
	case errors.Is(err, net.ErrClosed):
		return cause
	default:
		return fmt.Errorf("%w: %w", cause, err)
	}
}

// proxyURL is a Dialer's Proxy, understood.
type proxyURL struct {
	text string // without credentials
	tls  bool
	host string // without port
	addr string // host:port
}

func parseProxy(text string) (p proxyURL, err error) {
	p.text = redactedProxy(text)
	u, err := url.Parse(withScheme(text))
	if err != nil {
		return p, fmt.Errorf("the proxy's URL %q cannot be read", p.text)
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	switch {
	case port == "":
		return p, fmt.Errorf("proxy %q: want http://host:port or https://host:port", p.text)
	case u.User != nil:
		return p, fmt.Errorf("proxy %q: user and password do not belong in the URL", p.text)
	case u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "":
		return p, fmt.Errorf("proxy %q: want a host and a port, nothing more", p.text)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return proxyURL{p.text, u.Scheme == "https", u.Hostname(), net.JoinHostPort(u.Hostname(), port)}, nil
}

func withScheme(text string) string {
	if !hasScheme(text) {
		return "http://" + text
	}
	return text
}

func hasScheme(text string) bool {
	for i := range len(text) {
		if text[i] == ':' {
			return len(text) > i+2 && text[i+1:i+3] == "//"
		}
	}
	return false
}

// redactedProxy returns the URL without what stands before the @ of its authority, however broken
// the rest may be.
func redactedProxy(text string) string {
	text = withScheme(text)
	start := 0
	for i := range len(text) - 2 {
		if text[i:i+3] == "://" {
			start = i + 3
			break
		}
	}
	for i := len(text) - 1; i >= start; i-- {
		if text[i] == '@' {
			return text[:start] + text[i+1:]
		}
	}
	return text
}
