package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// A Process is what a service has of its surroundings.
type Process struct {
	Stdout, Stderr io.Writer        // the log goes to Stderr, the audit log "-" to Stdout
	Signals        <-chan os.Signal // SIGHUP reloads, the first of any other drains, the next one ends at once
	Ready          func([]net.Addr) // told the addresses in the order of Config.Listeners; may be nil
}

// Serve runs the server until a signal or the end of ctx tells it to drain, and it has drained. An
// error says why there never was a server, or what could not be closed. A signal must not end ctx,
// too: it would count twice.
func Serve(ctx context.Context, c *Config, p Process) error {
	s, err := newService(c, p)
	if err != nil {
		return err
	}
	saveMemory()
	addrs, err := s.start()
	if err != nil {
		return errors.Join(err, s.logs.close())
	}
	if p.Ready != nil {
		p.Ready(addrs)
	}
	s.notify("READY=1")
	s.ticks, s.lastTick = time.NewTicker(liveTick), time.Now()
	defer s.ticks.Stop()
	s.untilStopped(ctx, p.Signals)
	s.drain(p.Signals)
	err = s.server.Close()
	s.watch.close()
	s.door.close()
	s.log.Info("stopped")
	return errors.Join(err, s.logs.close())
}

func newService(c *Config, p Process) (*service, error) {
	logs, err := openLogs(c, p)
	if err != nil {
		return nil, err
	}
	s := &service{config: c, log: logs.log, logs: logs, ledger: newLedger()}
	s.live.current.Store(c.initial)
	return s, nil
}

// service is one run of Serve.
type service struct {
	config *Config
	log    *slog.Logger
	logs   *logs
	live   live
	server *turntcp.Server
	gates  []*gate
	ledger *ledger
	watch  *monitor
	door   *control

	draining atomic.Bool

	ticks    *time.Ticker // when it is looked at which allocations the audit log is to tell of
	lastTick time.Time
}

// start listens everywhere or nowhere.
func (s *service) start() ([]net.Addr, error) {
	var err error
	if s.server, err = turntcp.NewServer(s.turn()); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.server.Close())
	}
	if s.watch, err = s.startMonitor(); err != nil {
		s.closeGates()
		return nil, errors.Join(err, s.server.Close())
	}
	if s.door, err = s.startControl(); err != nil {
		s.closeGates()
		s.watch.close()
		return nil, errors.Join(err, s.server.Close())
	}
	if port, ok := s.watch.port(); ok {
		s.server.RefusePort(port)
	}
	for _, w := range s.config.Warnings {
		s.log.Warn(w)
	}
	var addrs []net.Addr
	for i, l := range s.config.Listeners {
		start := s.server.Start
		switch {
		case l.Auto:
			start = s.server.StartAuto
		case l.Secure:
			start = s.server.StartTLS
		}
		if err := start(s.gates[i]); err != nil {
			s.watch.close()
			s.door.close()
			return nil, errors.Join(err, s.server.Close())
		}
		addrs = append(addrs, s.gates[i].Addr())
		s.log.Info("listening", "transport", l.transport(), "address", s.gates[i].Addr())
	}
	s.log.Info("serving", append([]any{"realm", s.config.Realm, "relay", relayNames(s.config.TURN.RelayAddrs), "ports",
		fmt.Sprintf("%d-%d", s.config.TURN.RelayPorts.Min, s.config.TURN.RelayPorts.Max)}, s.config.initial.counts...)...)
	return addrs, nil
}

// relayNames are the addresses as peers know them.
func relayNames(addrs []turntcp.RelayAddr) string {
	var names []string
	for _, a := range addrs {
		name := a.Local.String()
		if a.Public.IsValid() {
			name = a.Public.String()
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

func (s *service) turn() turntcp.Config {
	c, t := s.config, s.config.TURN
	t.Credentials, t.Logger, t.Hooks = &s.live, s.log, s.hooks()
	if c.Cert != "" {
		t.TLS = &tls.Config{GetCertificate: s.live.certificate}
	}
	return t
}

// hooks write the audit log and count.
func (s *service) hooks() turntcp.Hooks {
	audit, ledger := s.logs.audit, s.ledger
	h := turntcp.Hooks{
		OnAllocationStart:   audit.begun,
		OnAllocationEnd:     func(a turntcp.AllocationStats) { ledger.end(a); audit.ended(a) },
		OnAllocationRefused: func(r turntcp.AllocationRefusal) { ledger.refused.add(r.Reason); audit.refused(r) },
		OnPeer:              audit.peer,
		OnStream:            audit.stream,
		OnPeerRefused:       func(r turntcp.PeerRefusal) { ledger.peersRefused.add(r.Reason); audit.peerRefused(r) },
		OnAuthRejected:      func(r turntcp.AuthRejection) { ledger.rejected.add(r.Reason); audit.rejected(r) },
		OnConnectionEnd:     func(e turntcp.ConnectionEnd) { ledger.closed.add(string(e.Reason)) },
	}
	if s.config.AuditStrict {
		h.Admit = func(string) error { return s.auditTrouble() }
	}
	return h
}

// auditTrouble says why a strict audit refuses new allocations.
func (s *service) auditTrouble() error {
	if !s.config.AuditStrict {
		return nil
	}
	if err := s.logs.audit.trouble(); err != nil {
		return fmt.Errorf("the audit log is not whole: %w", err)
	}
	return nil
}

// listen opens all ports before anybody is served.
func (s *service) listen() error {
	for _, l := range s.config.Listeners {
		opened, err := net.Listen("tcp", l.Address)
		if err != nil {
			s.closeGates()
			return fmt.Errorf("%v: %w", l, err)
		}
		s.gates = append(s.gates, newGate(opened))
	}
	return nil
}

func (s *service) closeGates() {
	for _, g := range s.gates {
		g.Close()
	}
}

// untilStopped reloads until it is time to end.
func (s *service) untilStopped(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case now := <-s.ticks.C:
			s.auditLive(now)
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				s.log.Info("signal", "signal", sig.String())
				return
			}
			s.reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload reads users, secrets and certificate again, and takes all of them or, if anything is wrong
// with one, none. The audit file is opened anew in any case.
func (s *service) reload() {
	if !s.draining.Load() {
		s.notify("RELOADING=1")
		defer s.notify("READY=1")
	}
	if err := s.logs.reopen(); err != nil {
		s.log.Error("audit log", "error", err)
	}
	m, problems := readMaterial(s.config)
	for _, p := range problems {
		s.log.Error("reload", "error", p)
	}
	if len(problems) > 0 {
		s.log.Error("not reloaded: what was in use stays in use", "problems", len(problems))
		return
	}
	s.live.current.Store(m)
	for _, w := range m.warnings {
		s.log.Warn(w)
	}
	s.log.Info("reloaded", m.counts...)
}

// drainPoll is how often the allocations are counted while the server drains.
const drainPoll = 50 * time.Millisecond

// drain accepts nobody and no new allocation any more, and returns when the last allocation has
// gone, the time is up, or another signal wants it so.
func (s *service) drain(signals <-chan os.Signal) {
	s.notify("STOPPING=1")
	s.draining.Store(true)
	s.server.Drain()
	for _, g := range s.gates {
		if err := g.stop(); err != nil {
			s.log.Warn("stop listening", "address", g.Addr(), "error", err)
		}
	}
	s.log.Info("draining", "allocations", s.server.Allocations(), "at most", s.config.DrainTimeout)
	deadline, tick := time.NewTimer(s.config.DrainTimeout), time.NewTicker(drainPoll)
	defer deadline.Stop()
	defer tick.Stop()
	for s.server.Allocations() > 0 {
		select {
		case <-tick.C:
		case now := <-s.ticks.C:
			s.auditLive(now)
		case <-deadline.C:
			s.log.Warn("draining took too long", "allocations cut off", s.server.Allocations())
			return
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.reload()
				continue
			}
			s.log.Warn("second signal", "signal", sig.String(), "allocations cut off", s.server.Allocations())
			return
		}
	}
}
