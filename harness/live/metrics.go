package live

import (
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
)

// Metrics are a run's for Prometheus. Counters go on from step to step. The zero value is ready.
type Metrics struct {
	mu      sync.Mutex
	now     loadtest.Live
	steps   int // that have ended
	ended   map[measure.Verdict]int
	packets map[[2]string]int64 // way, state
	failed  map[string]int
	lost    int
	delay   map[string]*measure.Latency // by way
	verdict measure.Verdict
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("turngate_load_"+name, help, labels, nil)
}

var (
	descCalls   = describe("calls", "Calls that are up.")
	descWanted  = describe("calls_wanted", "Calls of the step under way.")
	descOpening = describe("opening_calls", "Calls whose set-up is under way.")
	descStep    = describe("step", "Number of the step under way, from 1.")
	descSteps   = describe("steps_total", "Steps that have ended.", "verdict")
	descPackets = describe("packets_total", "Packets that were due, were written, and came, without the proxy (direct) and through it.", "way", "state")
	descDelay   = describe("delay_seconds", "Delay of packets from when they were due, one way; half of the round trip with --peer.", "way")
	descLost    = describe("lost_tunnels_total", "Tunnels closed by somebody else while in use.")
	descFailed  = describe("failed_tunnels_total", "Tunnels that did not open or were lost.", "cause")
	descGood    = describe("window_calls", "Calls judged in the last quality window that is over, and those of good quality.", "quality")
	descLate    = describe("generator_late_seconds", "99th percentile of how late the generator was in this step.")
	descWatched = describe("watched", "What the probes see of the proxy, by the name that it has in the record.", "name")
	descResult  = describe("result", "1 for the verdict, when the run has ended.", "verdict")
)

// Progress implements Viewer.
func (m *Metrics) Progress(l loadtest.Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = l
}

// StepDone implements Viewer.
func (m *Metrics) StepDone(s measure.Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended, m.packets, m.failed, m.delay = make(map[measure.Verdict]int), make(map[[2]string]int64), make(map[string]int), make(map[string]*measure.Latency)
	}
	m.steps++
	m.ended[s.Verdict]++
	w := way(s.Direct)
	m.packets[[2]string{w, "due"}] += s.Up.Scheduled + s.Down.Scheduled
	m.packets[[2]string{w, "sent"}] += s.Up.Sent + s.Down.Sent
	m.packets[[2]string{w, "received"}] += s.Up.Received + s.Down.Received
	m.lost += s.Tunnels.Lost
	for cause, n := range s.Tunnels.Causes {
		m.failed[cause] += n
	}
	if m.delay[w] == nil {
		m.delay[w] = measure.NewLatency()
	}
	for _, l := range []*measure.Latency{s.Up.Delay, s.Down.Delay} {
		if l != nil {
			m.delay[w].Merge(l)
		}
	}
}

// Ended says what became of the run, for those who ask afterwards.
func (m *Metrics) Ended(v measure.Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verdict, m.now = v, loadtest.Live{}
}

func way(direct bool) string {
	if direct {
		return "direct"
	}
	return "proxied"
}

// Handler serves them with those of the process.
func (m *Metrics) Handler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	return mux
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCalls, descWanted, descOpening, descStep, descSteps, descPackets, descDelay, descLost, descFailed, descGood, descLate, descWatched, descResult} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := m.now.Snapshot
	gauge(descCalls, float64(s.Calls))
	gauge(descWanted, float64(m.now.Calls))
	gauge(descOpening, float64(s.Opening))
	gauge(descStep, float64(m.now.Number))
	gauge(descGood, float64(s.Judged), "judged")
	gauge(descGood, float64(s.Good), "good")
	gauge(descLate, s.Late/1000)
	for name, v := range m.now.Values {
		gauge(descWatched, v, name)
	}
	if m.verdict != "" {
		gauge(descResult, 1, string(m.verdict))
	}
	for verdict, n := range m.ended {
		count(descSteps, float64(n), string(verdict))
	}
	m.totals(count)
	for _, w := range []string{"direct", "proxied"} {
		if l := m.delayOf(w); l != nil {
			c <- histogram{descDelay, l, w}
		}
	}
}

// under is whether the step that is shown has not ended yet, so that it is not counted twice.
func (m *Metrics) under(w string) bool { return m.now.Number > m.steps && way(m.now.Direct) == w }

// totals are those of the steps that have ended and of the one under way.
func (m *Metrics) totals(count func(*prometheus.Desc, float64, ...string)) {
	s, lost := m.now.Snapshot, m.lost
	failed := make(map[string]int)
	for cause, n := range m.failed {
		failed[cause] += n
	}
	if m.now.Number > m.steps {
		lost += s.Lost
		for cause, n := range s.Failed {
			failed[cause] += n
		}
	}
	count(descLost, float64(lost))
	for cause, n := range failed {
		count(descFailed, float64(n), cause)
	}
	for _, w := range []string{"direct", "proxied"} {
		for state, now := range map[string]int64{"due": s.Scheduled, "sent": s.Sent, "received": s.Received} {
			n := m.packets[[2]string{w, state}]
			if m.under(w) {
				n += now
			}
			count(descPackets, float64(n), w, state)
		}
	}
}

func (m *Metrics) delayOf(w string) *measure.Latency {
	all := m.delay[w]
	if m.under(w) && m.now.Delay != nil {
		now := m.now.Delay()
		if all != nil {
			now.Merge(all)
		}
		return now
	}
	return all
}

// A histogram is a Latency as Prometheus has it, with classic buckets and native ones.
type histogram struct {
	desc *prometheus.Desc
	l    *measure.Latency
	way  string
}

func (h histogram) Desc() *prometheus.Desc { return h.desc }

// classic are the upper bounds of the classic buckets, in seconds.
var classic = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2, 5, 10, 60}

// schema makes native buckets 2^(1/8) wide: nine per cent.
const schema = 3

// Write fills in both kinds. A bar of HdrHistogram, a thousandth wide, goes whole into the bucket of
// its middle.
func (h histogram) Write(out *dto.Metric) error {
	native, cumulative, sum := make(map[int]int64), make(map[float64]uint64), 0.0
	for _, bound := range classic {
		cumulative[bound] = 0
	}
	for _, bar := range h.l.Histogram().Distribution() {
		if bar.Count == 0 {
			continue
		}
		v := float64(bar.From+bar.To) / 2 / 1e6
		sum += v * float64(bar.Count)
		native[int(math.Ceil(math.Log2(v)*(1<<schema)))] += bar.Count
		for _, bound := range classic {
			if v <= bound {
				cumulative[bound] += uint64(bar.Count)
			}
		}
	}
	total := uint64(h.l.Count())
	n, err := prometheus.NewConstNativeHistogram(h.desc, total, sum, native, nil, 0, schema, 0, time.Time{}, h.way)
	if err != nil {
		return err
	}
	if err := n.Write(out); err != nil {
		return err
	}
	var both dto.Metric
	k, err := prometheus.NewConstHistogram(h.desc, total, sum, cumulative, h.way)
	if err != nil {
		return err
	}
	if err := k.Write(&both); err != nil {
		return err
	}
	out.Histogram.Bucket = both.Histogram.Bucket
	return nil
}
