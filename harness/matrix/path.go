package matrix

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

const defaultTimeout = 20 * time.Second

// A leg is one end of a call: a client with an allocation, and what getting there took.
type leg struct {
	client     *turntcp.Client
	allocation turntcp.Allocation
	tunnel     report.Tunnel
}

// A dialFunc connects to host:port, through a proxy or not.
type dialFunc func(ctx context.Context, address string) (net.Conn, error)

func direct(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// dialer returns how a cell reaches its TURN server.
func (c *Cell) dialer(budget *proxyconnect.Budget) (dialFunc, error) {
	if c.Proxy == "" {
		return direct, nil
	}
	d := &proxyconnect.Dialer{Proxy: c.Proxy, TLS: c.TLS, Budget: budget, ALPN: []string{"stun.turn"}}
	if err := c.Auth.Apply(d); err != nil {
		return nil, err
	}
	return func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }, nil
}

// open sets up one end: tunnel, TLS, allocation. What it learnt of the tunnel is returned also with
// an error.
func open(ctx context.Context, dial dialFunc, t TURN, onData func(turntcp.Data)) (*leg, error) {
	l := new(leg)
	watch := newStopwatch(time.Now)
	defer func() { l.tunnel.Phases = watch.report() }()
	watch.start()
	conn, err := dial(proxyconnect.WithTrace(ctx, &watch.trace), t.Address)
	if err != nil {
		if ce := (*proxyconnect.ConnectError)(nil); errors.As(err, &ce) {
			l.tunnel = report.Tunnel{Legs: ce.Legs, Dials: ce.Dials}
		}
		return l, err
	}
	if tunnel, ok := conn.(*proxyconnect.Conn); ok {
		info := tunnel.Info()
		l.tunnel = report.Tunnel{Mechanism: info.Mechanism, Legs: info.Legs, Dials: info.Dials}
	} else {
		watch.stop(phaseTCP)
	}
	if t.Secure {
		watch.start()
		if conn, err = secure(ctx, conn, t); err != nil {
			return l, stageError{phaseTURNTLS, err}
		}
		watch.stop(phaseTURNTLS)
	}
	l.client = turntcp.NewClient(conn, turntcp.ClientConfig{Username: t.User, Password: string(t.Password), OnData: onData})
	watch.start()
	if l.allocation, err = l.client.Allocate(ctx); err != nil {
		l.client.Close()
		return l, stageError{phaseAllocate, err}
	}
	watch.stop(phaseAllocate)
	return l, nil
}

// secure does TLS with the TURN server; it closes conn when that fails.
func secure(ctx context.Context, conn net.Conn, t TURN) (net.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Config != nil {
		config = t.Config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(t.Address)
	}
	config.NextProtos = []string{"stun.turn"} // RFC 7443
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// bind opens the channels in both directions.
func bind(ctx context.Context, near, far *leg) (up, down uint16, took time.Duration, err error) {
	start := time.Now()
	if up, err = near.client.Bind(ctx, far.allocation.Relayed); err != nil {
		return 0, 0, 0, stageError{phaseChannel, err}
	}
	took = time.Since(start)
	if down, err = far.client.Bind(ctx, near.allocation.Relayed); err != nil {
		return 0, 0, 0, stageError{phaseChannel, err}
	}
	return up, down, took, nil
}
