package turntcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// ListenTCP listens on a TCP address ("192.0.2.1:3478", ":0") and returns the one it got.
func (s *Server) ListenTCP(addr string) (net.Addr, error) { return s.listen(addr, s.Start) }

// ListenTLS is ListenTCP with TLS. It needs Config.TLS.
func (s *Server) ListenTLS(addr string) (net.Addr, error) { return s.listen(addr, s.StartTLS) }

// ListenAuto is ListenTLS for clients by TLS and by TCP on one port: the first byte tells them apart.
func (s *Server) ListenAuto(addr string) (net.Addr, error) { return s.listen(addr, s.StartAuto) }

func (s *Server) listen(addr string, start func(net.Listener) error) (net.Addr, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("turn server: %w", err)
	}
	if err := start(l); err != nil {
		l.Close()
		return nil, err
	}
	return l.Addr(), nil
}

// Start serves TURN over TCP on a listener, which the server closes when it is closed, and returns
// at once. Accept may fail: the server tries again, at growing intervals up to a second, until the
// listener is closed. The addresses of its connections must be *net.TCPAddr.
func (s *Server) Start(l net.Listener) error { return s.start(l, entrance{}) }

// StartTLS is Start with TLS. It needs Config.TLS.
func (s *Server) StartTLS(l net.Listener) error { return s.startTLS(l, entrance{}) }

// StartAuto is Start for clients by TLS and by TCP: the first byte, for which a client has
// HandshakeTimeout, tells them apart. It needs Config.TLS.
func (s *Server) StartAuto(l net.Listener) error { return s.startTLS(l, entrance{auto: true}) }

func (s *Server) startTLS(l net.Listener, e entrance) error {
	if s.tls == nil {
		return errors.New("turn server: no TLS configuration")
	}
	e.secure = s.tls
	return s.start(l, e)
}

func (s *Server) start(l net.Listener, e entrance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("turn server: %w", errServerClosed)
	}
	if addr, ok := l.Addr().(*net.TCPAddr); ok {
		s.relays.addListening(addr.AddrPort())
	}
	s.listeners = append(s.listeners, l)
	s.running.Go(func() { s.accept(l, e) })
	s.sweeping.Do(func() { s.running.Go(s.sweep) })
	return nil
}

// accept outlives every error of Accept but that of a closed listener: out of file descriptors
// (EMFILE, ENFILE) and a client gone early (ECONNABORTED) both pass.
func (s *Server) accept(l net.Listener, e entrance) {
	const first, longest = 5 * time.Millisecond, time.Second
	wait := first
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = first
			s.admit(nc, e)
		case s.stop.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed):
			s.log.Warn("listener closed", "listener", l.Addr(), "error", err)
			return
		default:
			s.log.Warn("accept failed", "listener", l.Addr(), "error", err, "again in", wait)
			s.pause(wait)
			wait = min(2*wait, longest)
		}
	}
}

func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stop.Done():
	}
}

// admit makes a connection of what was accepted, or closes it. It waits while too many handshakes
// are under way, so that the others queue in the kernel.
func (s *Server) admit(nc net.Conn, e entrance) {
	if e.auto && !canPeek(nc) {
		nc = &peekable{Conn: nc}
	}
	e.proxied = s.fromProxy(nc)
	c := newConn(s, nc)
	if err := s.track(c); err != nil {
		c.log.Debug("connection refused", "error", err)
		c.tellEnd(err)
		nc.Close()
		return
	}
	if e.immediate() {
		if err := s.claim(c); err != nil {
			c.end(err)
			return
		}
		c.prepare(nil)
		c.serve()
		return
	}
	select {
	case s.handshakes <- struct{}{}:
		go c.open(e) // waited for as part of the connection
	case <-s.stop.Done():
		c.end(errServerClosed)
	}
}

func (s *Server) track(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errServerClosed
	case len(s.conns) >= s.cfg.MaxConnections:
		return because(ClosedFull, fmt.Errorf("%d connections are the limit", s.cfg.MaxConnections))
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return nil
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.unclaim(c)
	s.mu.Unlock()
	s.running.Done()
}

// alpnTURN is the protocol id of TURN in TLS (RFC 7443 section 4).
const alpnTURN = "stun.turn"

// serverTLS is the caller's configuration made fit for TURN. A server of crypto/tls with NextProtos
// turns away whoever offers only others, so ALPN is answered only to those who offer ours.
func serverTLS(caller *tls.Config) *tls.Config {
	plain := caller.Clone()
	plain.MinVersion = max(plain.MinVersion, tls.VersionTLS12)
	plain.NextProtos = nil
	plain.DynamicRecordSizingDisabled = true // the outbox says what a record has
	turn := plain.Clone()
	turn.NextProtos = []string{alpnTURN}
	turn.GetConfigForClient = nil
	plain.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		offered := slices.Contains(hello.SupportedProtos, alpnTURN)
		if caller.GetConfigForClient != nil {
			if own, err := caller.GetConfigForClient(hello); own != nil || err != nil {
				return own, err
			}
		}
		if offered {
			return turn, nil
		}
		return nil, nil
	}
	return plain
}
