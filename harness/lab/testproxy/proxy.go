package testproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// A Proxy is an embedded CONNECT proxy. Its zero value is an open proxy over plain HTTP. The fields
// must not change after Listen or Start; the methods may be called by any number of goroutines.
type Proxy struct {
	// Schemes are offered in this order. None: everybody may use the proxy. Several schemes may
	// have one name if their Claims tells them apart.
	Schemes []Scheme

	// TLS makes it an https proxy. The configuration is cloned; TLS below 1.2 and session tickets
	// are off (the latter so that every connection sees the certificate that it is bound to), and
	// GetConfigForClient is not called.
	TLS *tls.Config

	// Host is the name in URL. Default is the address of the listener.
	Host string

	// Hosts resolves the names of targets to addresses. With Hosts set, other names do not
	// exist; with nil, Dial resolves them.
	Hosts map[string]string

	// AllowTarget refuses targets, after authentication: its error becomes a 403. nil allows all.
	AllowTarget func(host string, port int) error

	// Dial connects to targets. Default is net.Dialer's DialContext.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Faults are played on every connection, in this order. Script, if set, chooses them
	// instead for each connection, numbered from 1 in the order of acceptance.
	Faults []Fault
	Script func(conn int) []Fault

	// Log is called once for every Record, by the goroutine of the connection.
	Log func(Record)

	// LikeSquid gives the error pages Squid's Server and X-Squid-Error, and targets that cannot be
	// reached the status that Squid 5.7 gives them: 500 for unknown names, else 503. Without it:
	// 503 where the target does not listen, 504 where it keeps silent, otherwise 502.
	LikeSquid bool

	// MaxHeader bounds the head of a request in bytes; longer ones get 431. Default 64 KiB (Squid's).
	MaxHeader int

	// Limits are what it can carry. Default is all that the machine can.
	Limits Limits

	// KeepRecords is how many of the newest records are kept for Records. Default 4096.
	KeepRecords int

	LegTimeout  time.Duration // for a TLS handshake, for a request to arrive completely, for an answer to be written. Default 30 s.
	DialTimeout time.Duration // for the connection to the target. Default 10 s.
	IdleTimeout time.Duration // ends a tunnel without a byte in either direction. Default 0: never. Costs a buffer for each direction.

	listener  net.Listener
	ctx       context.Context
	cancel    context.CancelFunc
	work      sync.WaitGroup
	book      *book
	inspector func() (*inspector, error)
	capacity  *capacity

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// Start listens on a free port of 127.0.0.1 and serves until Close.
func (p *Proxy) Start() error { return p.Listen("127.0.0.1:0") }

// Listen listens on a TCP address and serves until Close. A Proxy listens once.
func (p *Proxy) Listen(addr string) error {
	if p.listener != nil {
		return errors.New("testproxy: this proxy listens already")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	p.listener = listener
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.book = newBook(orDefault(p.KeepRecords, 4096), p.Log)
	p.inspector = sync.OnceValues(newInspector)
	p.capacity = newCapacity(p.Limits)
	p.conns = make(map[net.Conn]struct{})
	p.work.Go(p.accept)
	return nil
}

// Addr is the address it listens on.
func (p *Proxy) Addr() net.Addr { return p.listener.Addr() }

// URL is what a client is configured with, "http://127.0.0.1:8080" for example.
func (p *Proxy) URL() string {
	scheme, hostPort := "http://", p.Addr().String()
	if p.TLS != nil {
		scheme = "https://"
	}
	if p.Host != "" {
		_, port, _ := net.SplitHostPort(hostPort)
		hostPort = net.JoinHostPort(p.Host, port)
	}
	return scheme + hostPort
}

// Close stops listening, cuts every connection and tunnel and waits for their goroutines. It may be
// called more than once, also on a Proxy that never listened.
func (p *Proxy) Close() error {
	if p.listener == nil {
		return nil
	}
	p.mu.Lock()
	p.closed = true
	for nc := range p.conns {
		nc.Close()
	}
	p.mu.Unlock()
	p.cancel()
	err := p.listener.Close()
	p.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for id := 1; ; id++ {
		nc, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, for one: wait for some to be closed instead of spinning.
			p.sleep(50 * time.Millisecond)
			id--
			continue
		}
		if !p.track(nc) {
			nc.Close()
			return
		}
		p.work.Go(func() {
			defer p.untrack(nc)
			newConn(p, id, nc).serve()
		})
	}
}

// track enters a connection of a client or to a target among those that Close cuts.
func (p *Proxy) track(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[nc] = struct{}{}
	return true
}

func (p *Proxy) untrack(nc net.Conn) {
	p.mu.Lock()
	delete(p.conns, nc)
	p.mu.Unlock()
	nc.Close()
}

// sleep waits for d and reports whether it did: Close ends it early.
func (p *Proxy) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Proxy) faults(conn int) []Fault {
	if p.Script != nil {
		return p.Script(conn)
	}
	return p.Faults
}

func orDefault[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}
