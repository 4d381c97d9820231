package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/turngate/turngate/turntcp"
)

// The figures of the server. Users and addresses are never labels: they would make series without end,
// and metrics are read by more people than the audit log.
var (
	descConnections = describe("connections", "Accepted connections, those in their handshake included.")
	descLive        = describe("allocations", "Live allocations.")
	descAllocations = describe("allocations_total", "Allocations there ever were.")
	descPackets     = describe("relayed_packets_total", "Packets relayed; up is from clients to peers.", "direction")
	descBytes       = describe("relayed_bytes_total", "Bytes of payload relayed; up is from clients to peers.", "direction")
	descDropped     = describe("dropped_packets_total", "Packets not relayed.", "reason")
	descPeers       = describe("refused_peers_total", "Permissions and channels refused with 403.", "reason")
	descEnded       = describe("ended_allocations_total", "Allocations that have ended.", "reason")
	descRefused     = describe("refused_allocations_total", "Allocations that users were refused.", "reason")
	descRejected    = describe("authentication_failures_total", "Requests that were not signed as they should be.", "reason")
	descClosed      = describe("closed_connections_total", "Connections that have ended, those that were refused included.", "reason")
	descHandshakes  = describe("tls_handshake_failures_total", "Connections closed because the TLS handshake failed or took too long.")
	descLost        = describe("audit_lost_records_total", "Records of the audit log that were dropped or could not be written.")
	descTrouble     = describe("audit_trouble", "1 while records of the audit log are lost, or cannot be written.")
	descDraining    = describe("draining", "1 while the server takes no new allocation.")
)

var descAll = []*prometheus.Desc{descConnections, descLive, descAllocations, descPackets, descBytes, descDropped, descPeers, descEnded,
	descRefused, descRejected, descClosed, descHandshakes, descLost, descTrouble, descDraining}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("turngate_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *service) Describe(c chan<- *prometheus.Desc) {
	for _, d := range descAll {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (s *service) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descConnections, float64(s.server.Connections()))
	gauge(descLive, float64(s.server.Allocations()))
	gauge(descDraining, oneIf(s.draining.Load()))
	t := s.ledger.sum(s.server.Each)
	count(descAllocations, t.allocations)
	count(descPackets, t.up.Packets, "up")
	count(descPackets, t.down.Packets, "down")
	count(descBytes, t.up.Bytes, "up")
	count(descBytes, t.down.Bytes, "down")
	closed := s.ledger.closed.all()
	for d, counts := range map[*prometheus.Desc]map[string]uint64{
		descDropped: dropReasons(t.drops), descPeers: s.ledger.peersRefused.all(), descEnded: s.ledger.deleted.all(),
		descRefused: s.ledger.refused.all(), descRejected: s.ledger.rejected.all(), descClosed: closed,
	} {
		for reason, n := range counts {
			count(d, n, reason)
		}
	}
	count(descHandshakes, closed[string(turntcp.ClosedTLS)]+closed[string(turntcp.ClosedHandshake)])
	if a := s.logs.audit; a != nil {
		count(descLost, a.everLost())
		gauge(descTrouble, oneIf(a.trouble() != nil))
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func dropReasons(d turntcp.Drops) map[string]uint64 {
	return map[string]uint64{
		"no_permission": d.NoPermission, "no_channel": d.NoChannel, "forbidden": d.Forbidden, "malformed": d.Malformed,
		"unsent": d.Unsent, "too_old": d.TooOld, "queue_full": d.QueueFull, "too_fast": d.TooFast,
	}
}

// A monitor serves /metrics, /healthz (the process answers) and /readyz (it takes allocations).
type monitor struct {
	server   http.Server
	listener net.Listener
	done     chan struct{}
}

// monitorTimeout bounds a request, and the end of those under way.
const monitorTimeout = 10 * time.Second

// startMonitor listens where the configuration says; nil for nowhere.
func (s *service) startMonitor() (*monitor, error) {
	if s.config.Metrics == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", s.config.Metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s, s.ledger.roundTrips, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	m := &monitor{listener: listener, done: make(chan struct{}), server: http.Server{
		Handler: mux, ReadTimeout: monitorTimeout, WriteTimeout: monitorTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
	go func() {
		defer close(m.done)
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics", "error", err)
		}
	}()
	s.log.Info("metrics", "address", listener.Addr())
	return m, nil
}

func (s *service) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	if err := s.auditTrouble(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// port is the monitor's, which no relay may reach.
func (m *monitor) port() (netip.AddrPort, bool) {
	if m == nil {
		return netip.AddrPort{}, false
	}
	addr, ok := m.listener.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	return addr.AddrPort(), true
}

// close ends the monitor; requests under way have a moment.
func (m *monitor) close() {
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), monitorTimeout)
	defer cancel()
	if m.server.Shutdown(ctx) != nil {
		m.server.Close()
	}
	<-m.done
}
