package diagnosis

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// An observedConn sees what the first bytes from the other side look like.
type observedConn struct {
	net.Conn
	mu    sync.Mutex
	first []byte
}

const firstBytes = 32

func (c *observedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := firstBytes - len(c.first); n > 0 && room > 0 {
		c.first = append(c.first, p[:min(n, room)]...)
	}
	return n, err
}

// class tells by the first bytes who speaks.
func (c *observedConn) class() FirstBytes {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := bytes.ToLower(bytes.TrimSpace(c.first))
	switch b := c.first; {
	case len(b) == 0:
		return ""
	case b[0] >= 20 && b[0] <= 23 && (len(b) < 2 || b[1] == 3): // RFC 8446 section 5.1
		return BytesTLS
	case len(b) >= 8 && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == 0x2112a442: // RFC 8489 section 5
		return BytesSTUN
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")):
		return BytesHTML
	case bytes.HasPrefix(text, []byte("http/")):
		return BytesHTTP
	}
	return BytesElse
}

// secureTunnel does the TLS of turns:.
func (w *walk) secureTunnel(ctx context.Context) (string, error) {
	if !w.TURN.Secure {
		return "", skipped("the TURN URI is turn:")
	}
	config := w.TURN.config()
	conn := tls.Client(w.conn, config)
	err := conn.HandshakeContext(ctx)
	w.report.First = w.tunnel.class()
	w.report.TunnelTLS = describeTLS(conn.ConnectionState(), config.ServerName, err)
	if err == nil {
		err = w.TURN.checkPin(conn.ConnectionState())
		w.report.Pinned = w.TURN.Pin.String()
		w.conn = conn
	}
	return w.report.TunnelTLS.summary(), err
}

// bind asks for our address, which needs no account.
func (w *walk) bind(ctx context.Context) (string, error) {
	w.near = w.client(w.conn, w.nearSink.onData)
	w.conn = nil
	mapped, err := w.near.Binding(ctx)
	w.report.First = w.tunnel.class()
	if err != nil {
		return "", ended(w.near, err)
	}
	return fmt.Sprintf("the server sees the proxy as %s", mapped), nil
}

// ended adds why a client's connection ended to the error of a transaction.
func ended(c *turntcp.Client, err error) error {
	if why := c.Err(); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

func (w *walk) client(conn net.Conn, onData func(turntcp.Data)) *turntcp.Client {
	return turntcp.NewClient(conn, turntcp.ClientConfig{
		Username: w.TURN.User, Password: string(w.TURN.Password), OnData: onData, Timeout: w.timeout(),
	})
}

// numbers makes of what arrives the numbers of pings; the waiting side takes one at a time.
func (s *sink) numbers() chan uint32 {
	c := make(chan uint32, 1)
	s.set(func(payload []byte, _ time.Time) {
		if len(payload) != pingSize {
			return
		}
		select {
		case c <- binary.BigEndian.Uint32(payload):
		default:
		}
	})
	return c
}

func (w *walk) allocate(ctx context.Context) (detail string, err error) {
	if w.nearRelay, err = w.near.Allocate(ctx); err != nil {
		return "", w.turnError(w.near, err)
	}
	return fmt.Sprintf("relayed address %s", w.nearRelay.Relayed), nil
}

// media sends datagrams from one allocation to another, both through the proxy, and back.
func (w *walk) media(ctx context.Context) (string, error) {
	client, relay, err := w.openEnd(ctx, &w.farSink)
	if err != nil {
		return "", err
	}
	w.far = client
	if w.up, err = w.near.Bind(ctx, relay.Relayed); err != nil {
		return "", w.turnError(w.near, err)
	}
	if w.down, err = w.far.Bind(ctx, w.nearRelay.Relayed); err != nil {
		return "", w.turnError(w.far, err)
	}
	return w.pings(ctx)
}

// openEnd makes another end of a call: tunnel, TLS, allocation.
func (w *walk) openEnd(ctx context.Context, arrives *sink) (*turntcp.Client, turntcp.Allocation, error) {
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, turntcp.Allocation{}, fmt.Errorf("%w: %w", errSecond, err)
	}
	if w.TURN.Secure {
		secure := tls.Client(conn, w.TURN.config())
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, turntcp.Allocation{}, fmt.Errorf("%w: %w", errSecond, err)
		}
		conn = secure
	}
	client := w.client(conn, arrives.onData)
	relay, err := client.Allocate(ctx)
	if err != nil {
		err = w.turnError(client, err)
		client.Close()
		return nil, relay, err
	}
	return client, relay, nil
}

const (
	pingSize = 160         // bytes: 20 ms of G.711
	pingWait = time.Second // after which a ping counts as lost
	pingTime = 3 * time.Second
)

func (w *walk) pings(ctx context.Context) (string, error) {
	pings := w.Pings
	if pings <= 0 {
		pings = defaultPings
	}
	arrived, answered := w.farSink.numbers(), w.nearSink.numbers()
	m := &Media{}
	w.report.Media = m
	var times []time.Duration
	begun := time.Now()
	for range pings {
		start := time.Now()
		if len(times) > 2 && start.Sub(begun) > pingTime {
			break // a slow path; enough came back to say so
		}
		m.Sent++
		ok, err := w.ping(ctx, arrived, answered, uint32(m.Sent))
		if err != nil {
			return "", err
		}
		if ok {
			times = append(times, time.Since(start))
		}
		if m.Received = len(times); m.Received == 0 && m.Sent >= 3 {
			break // three seconds of nothing
		}
	}
	if len(times) == 0 {
		return "", fmt.Errorf("%w: sent %d", errLost, m.Sent)
	}
	slices.Sort(times)
	m.RTTp50 = milliseconds(times[len(times)/2])
	for _, t := range times {
		m.RTT = append(m.RTT, milliseconds(t))
	}
	return fmt.Sprintf("%d of %d datagrams came back, RTT p50 %.1f ms", m.Received, m.Sent, m.RTTp50), nil
}

// ping sends one datagram there and, when it has come, one back. false: one of them was lost.
func (w *walk) ping(ctx context.Context, arrived, answered chan uint32, number uint32) (bool, error) {
	payload := binary.BigEndian.AppendUint32(make([]byte, 0, pingSize), number)[:pingSize]
	limit := time.NewTimer(pingWait)
	defer limit.Stop()
	for _, leg := range []struct {
		from    *turntcp.Client
		channel uint16
		arrived chan uint32
	}{{w.near, w.up, arrived}, {w.far, w.down, answered}} {
		if err := leg.from.WriteChannel(leg.channel, payload); err != nil {
			return false, ended(leg.from, err)
		}
		if ok, err := w.arrives(ctx, leg.arrived, number, limit.C); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// arrives waits for one ping; late ones of before are passed over.
func (w *walk) arrives(ctx context.Context, arrived chan uint32, number uint32, limit <-chan time.Time) (bool, error) {
	for {
		select {
		case got := <-arrived:
			if got == number {
				return true, nil
			}
		case <-limit:
			return false, nil
		case <-w.near.Done():
			return false, fmt.Errorf("media: the near end: %w", w.near.Err())
		case <-w.far.Done():
			return false, fmt.Errorf("media: the far end: %w", w.far.Err())
		case <-ctx.Done():
			return false, fmt.Errorf("media: %w", context.Cause(ctx))
		}
	}
}
