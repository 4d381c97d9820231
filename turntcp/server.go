package turntcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a Server is. Realm, Credentials and RelayIP must be set.
type Config struct {
	Realm       string      // what credentials are valid for (RFC 8489 section 9.2)
	Credentials Credentials // who may allocate; nobody may without

	// RelayIP is an address of the relay sockets that clients are told, too. Together with RelayAddrs
	// there must be one at least; of several of a family any may be taken. A client gets IPv6 only if
	// it asks for that (RFC 8656 section 7.2).
	RelayIP netip.Addr
	// RelayAddrs are more of them, and those behind a NAT.
	RelayAddrs []RelayAddr
	// RelayPorts is the range of the relay sockets. Default is 49152-65535 (RFC 8656 section 7.2).
	RelayPorts PortRange
	// AllowPeers are the addresses that relays may exchange data with, besides the live relays of
	// this server, which they always may. Special addresses (loopback, private, link-local, metadata,
	// multicast, broadcast, the host's own, in any spelling) are refused unless a prefix within their
	// range names them: 0.0.0.0/0 does not open 127.0.0.1, 127.0.0.1/32 does. The server's own
	// listening ports are always refused, and so are those of RefusePort. Default is none.
	AllowPeers []netip.Prefix
	// DenyPeers are refused whatever AllowPeers names, and in any spelling; also relays of this server
	// if their address is among them.
	DenyPeers []netip.Prefix
	// InsideOnly allows PrivatePeers and refuses the internet, whatever AllowPeers names: media never
	// leaves.
	InsideOnly bool
	// TCPRelays offers relays for TCP, too (RFC 6062): clients reach the allowed peers by TCP from a port
	// of RelayPorts, and are reached there. Each stream takes a connection of its own. Default is UDP only.
	TCPRelays bool
	// OldChannels accepts the channel numbers of RFC 5766, up to 0x7FFF, where RFC 8656 section 12 ends
	// at 0x4FFF; coturn's clients use them.
	OldChannels bool

	// TLS is for ListenTLS and StartTLS, and needs a certificate. It is cloned; TLS 1.2 is the least
	// version, and the ALPN protocol stun.turn (RFC 7443) is agreed on where a client offers it.
	// Clients that offer other protocols or none get in all the same.
	TLS *tls.Config

	// ProxyProtocolFrom are the load balancers whose connections begin with a PROXY header, of version 1
	// or 2; one without it is closed. Nobody else's header is believed. Default is none.
	ProxyProtocolFrom []netip.Prefix

	// Logger gets connections at Debug, allocations and what was refused at Info, trouble of the
	// server at Warn. Never a secret. Default discards.
	Logger *slog.Logger

	HandshakeTimeout    time.Duration // for a PROXY header, the first byte and the TLS handshake together. Default is 10 s
	FirstRequestTimeout time.Duration // from connecting, or the last request of a known user, while there is no allocation. Default is 60 s
	WriteTimeout        time.Duration // in which a client must take some data, or is closed. Default is 10 s
	MaxQueueDelay       time.Duration // after which data that waits for a slow client is dropped. Default is 200 ms

	Hooks

	MaxConnections int // more are closed at once. Default is 10000
	MaxHandshakes  int // connections in what HandshakeTimeout is for; more wait. Default is 512
	MaxPermissions int // of an allocation; more are refused with 508. Default is 256
	MaxChannels    int // of an allocation; more are refused with 508. Default is 256

	// MaxConnectionsPerIP is for servers without proxies before their clients: a company comes from one
	// address. It counts the announced address where there is one. Default is no limit.
	MaxConnectionsPerIP int
	// MaxAllocations of a user, the ports that are reserved for it included; more are refused with
	// 486. What counts as a user is Account.Name. Default is no limit.
	MaxAllocations int
	// UserRate and TotalRate, in bits of payload per second, bound what all allocations of a user, and
	// all of the server, relay each way; what exceeds them is dropped and counted as
	// Drops.TooFast. Up to 0.2 s worth of it, but a datagram at least, may come at once. Default is no
	// limit.
	UserRate, TotalRate int64
	// MaxCredentialTTL refuses a credential that expires later than that from now, so that whoever has
	// a secret cannot make credentials for ever with it. Default is no limit.
	MaxCredentialTTL time.Duration

	permissionTimeout time.Duration // 0 is the 5 minutes of RFC 8656 section 9; tests cannot wait for that
}

// A PortRange includes both ends.
type PortRange struct{ Min, Max uint16 }

func (c *Config) setDefaults() {
	if c.RelayPorts == (PortRange{}) {
		c.RelayPorts = PortRange{49152, 65535}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.HandshakeTimeout = orDefault(c.HandshakeTimeout, 10*time.Second)
	c.FirstRequestTimeout = orDefault(c.FirstRequestTimeout, time.Minute)
	c.WriteTimeout = orDefault(c.WriteTimeout, 10*time.Second)
	c.MaxQueueDelay = orDefault(c.MaxQueueDelay, 200*time.Millisecond)
	c.MaxConnections = orDefault(c.MaxConnections, 10000)
	c.MaxHandshakes = orDefault(c.MaxHandshakes, 512)
	c.MaxPermissions = orDefault(c.MaxPermissions, 256)
	c.MaxChannels = orDefault(c.MaxChannels, 256)
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

func (c *Config) check() error {
	switch {
	case c.Realm == "":
		return errors.New("turn server: no realm")
	case c.Credentials == nil:
		return errors.New("turn server: no credentials")
	case len(c.relayAddrs()) == 0:
		return errors.New("turn server: no relay address")
	case c.RelayPorts.Min == 0 || c.RelayPorts.Min > c.RelayPorts.Max:
		return fmt.Errorf("turn server: relay ports %d-%d", c.RelayPorts.Min, c.RelayPorts.Max)
	}
	for _, a := range c.relayAddrs() {
		if err := a.check(); err != nil {
			return fmt.Errorf("turn server: %w", err)
		}
	}
	for _, p := range slices.Concat(c.AllowPeers, c.DenyPeers, c.ProxyProtocolFrom) {
		if !p.IsValid() {
			return errors.New("turn server: invalid prefix among the peers or proxies")
		}
	}
	return nil
}

// relayAddrs are RelayIP and RelayAddrs.
func (c *Config) relayAddrs() []RelayAddr {
	if !c.RelayIP.IsValid() {
		return c.RelayAddrs
	}
	return append([]RelayAddr{{Local: c.RelayIP}}, c.RelayAddrs...)
}

// A Server relays UDP for clients that come by TCP or TLS. Its methods may be called by any number
// of goroutines.
type Server struct {
	cfg    Config
	log    *slog.Logger
	policy peerPolicy
	relays *relays
	users  *users

	streams streams // of all relays for TCP

	tls        *tls.Config   // nil without Config.TLS
	handshakes chan struct{} // a token for each

	leastLifetime time.Duration // of allocations: defaultLifetime; tests have less time

	draining atomic.Bool
	ids      atomic.Uint64 // of connections

	controls [maxControls]atomic.Pointer[control] // from when there is a connection for them

	stop        context.Context // done when the server closes
	stopping    context.CancelFunc
	sweeping    sync.Once
	running     sync.WaitGroup // the sweep, accept loops, connections, allocations and their relays
	silent      chan struct{}  // closed when all of these have ended
	silence     sync.Once
	controlling sync.WaitGroup // pion's goroutines, which end after that

	mu          sync.Mutex
	closed      bool
	listeners   []net.Listener
	conns       map[*conn]struct{}
	perIP       map[netip.Addr]int // connections; empty without a limit
	allocations int
}

// NewServer returns a server that listens nowhere yet.
func NewServer(cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	own, broadcast, err := hostAddrs()
	if err != nil {
		return nil, fmt.Errorf("turn server: %w", err)
	}
	rs := newRelays(cfg.relayAddrs(), cfg.RelayPorts, own)
	for _, h := range rs.hosts {
		own = append(own, h.local, h.public)
	}
	s := &Server{
		cfg:        cfg,
		log:        cfg.Logger,
		policy:     newPeerPolicy(&cfg, own, broadcast),
		relays:     rs,
		users:      newUsers(&cfg),
		streams:    streams{byID: make(map[uint32]*stream)},
		handshakes: make(chan struct{}, cfg.MaxHandshakes),
		conns:      make(map[*conn]struct{}),
		perIP:      make(map[netip.Addr]int),
		silent:     make(chan struct{}),

		leastLifetime: defaultLifetime,
	}
	rs.expired = func(user string) { s.users.leave(user, 1) }
	for _, h := range rs.hosts {
		h.selfAllowed = s.policy.refusal(h.public) == ""
	}
	s.stop, s.stopping = context.WithCancel(context.Background())
	if cfg.TLS != nil {
		s.tls = serverTLS(cfg.TLS)
	}
	return s, nil
}

// Connections counts the accepted connections, those in their TLS handshake included.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Allocations counts the live allocations.
func (s *Server) Allocations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allocations
}

func (s *Server) countAllocation(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allocations += by
}

// Drain makes the server refuse new allocations, with 508 (Insufficient Capacity), by which a client
// knows that another server may do better. Those that live can be refreshed. There is no way back.
func (s *Server) Drain() { s.draining.Store(true) }

// Kill closes the connection of that number (ConnInfo.Connection), and with it its allocation and the
// allocation's streams. It reports false if there is none. The client may come again.
func (s *Server) Kill(connection uint64) bool {
	s.mu.Lock()
	var found *conn
	for c := range s.conns {
		if c.id == connection {
			found = c
		}
	}
	s.mu.Unlock()
	if found == nil {
		return false
	}
	found.hangUp(errKilled)
	return true
}

// Close ends the listeners, the accepted connections and their allocations, and waits for all of
// them. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	var errs []error
	if !s.closed {
		s.closed = true
		s.stopping()
		for _, l := range s.listeners {
			errs = append(errs, l.Close())
		}
		for c := range s.conns {
			s.running.Go(func() { c.hangUp(errServerClosed) })
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	s.silence.Do(func() { close(s.silent) })
	s.controlling.Wait()
	s.relays.releaseAll()
	s.relays.pollers.close()
	return errors.Join(errs...)
}

// control is the one that a connection belongs to.
func (s *Server) control(id uint64) (*control, error) {
	place := &s.controls[id%maxControls]
	if ct := place.Load(); ct != nil {
		return ct, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ct := place.Load(); ct != nil {
		return ct, nil
	}
	ct, err := newControl(s)
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	s.controlling.Add(1)
	place.Store(ct)
	return ct, nil
}

var (
	errServerClosed = errors.New("the server was closed")
	errKilled       = errors.New("killed by the operator")
)
