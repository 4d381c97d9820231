package watch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/turngate/turngate/harness/diagnosis"
)

// Metrics are the figures of the last look at each target. They may be used concurrently.
type Metrics struct {
	success, stopped, lastRun, lastSuccess, stage, finding *prometheus.GaugeVec
	runs                                                   *prometheus.CounterVec
	rtt                                                    *prometheus.HistogramVec
}

// NewMetrics registers the metrics, which all begin with turngate_check_ and have the label target.
func NewMetrics(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "turngate", Subsystem: "check", Name: name, Help: help}, append([]string{"target"}, labels...))
	}
	m := &Metrics{
		success:     gauge("success", "1 if datagrams came back at the last look, else 0."),
		stopped:     gauge("stopped", "1 if a rejected password or ticket ended the looks until SIGHUP."),
		lastRun:     gauge("last_run_timestamp_seconds", "When the last look began."),
		lastSuccess: gauge("last_success_timestamp_seconds", "When the last look began at which datagrams came back."),
		stage:       gauge("stage_seconds", "What each stage took at the last look; absent for stages that were not reached.", "stage"),
		finding:     gauge("finding", "1 for each finding of the last look, 0 for those of earlier ones; the codes are those of docs/failures.md.", "code"),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "turngate", Subsystem: "check", Name: "runs_total",
			Help: "Looks by their end: success or failure."}, []string{"target", "result"}),
		rtt: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "turngate", Subsystem: "check", Name: "rtt_seconds",
			Help: "Round trips of 160-byte datagrams, there and back through the proxy.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12)}, []string{"target"}),
	}
	r.MustRegister(m.success, m.stopped, m.lastRun, m.lastSuccess, m.stage, m.finding, m.runs, m.rtt)
	return m
}

// Keep forgets all targets but these.
func (m *Metrics) Keep(targets []Target, before []Target) {
	names := make(map[string]bool)
	for _, t := range targets {
		names[t.Name] = true
	}
	for _, t := range before {
		if names[t.Name] {
			m.stopped.WithLabelValues(t.Name).Set(0)
			continue
		}
		label := prometheus.Labels{"target": t.Name}
		for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{m.success, m.stopped, m.lastRun, m.lastSuccess, m.stage, m.finding, m.runs, m.rtt} {
			v.DeletePartialMatch(label)
		}
	}
}

// add takes one look in. Of a target that was stopped the last look's figures stay.
func (m *Metrics) add(r Result) {
	name := r.Target.Name
	if r.Stopped {
		m.stopped.WithLabelValues(name).Set(1)
		return
	}
	started := float64(r.Report.Started.UnixMilli()) / 1000
	success, result := 0.0, "failure"
	if r.Report.Through() {
		success, result = 1, "success"
		m.lastSuccess.WithLabelValues(name).Set(started)
	}
	m.success.WithLabelValues(name).Set(success)
	m.stopped.WithLabelValues(name).Set(0)
	m.lastRun.WithLabelValues(name).Set(started)
	m.runs.WithLabelValues(name, result).Inc()
	m.stages(name, r.Report.Stages)
	m.findings(name, r.Findings)
	if r.Report.Media != nil {
		for _, ms := range r.Report.Media.RTT {
			m.rtt.WithLabelValues(name).Observe(ms / 1000)
		}
	}
}

func (m *Metrics) stages(name string, stages []diagnosis.Stage) {
	for _, s := range stages {
		if s.Outcome != diagnosis.OK && s.Outcome != diagnosis.Failed {
			m.stage.DeleteLabelValues(name, s.Name)
			continue
		}
		m.stage.WithLabelValues(name, s.Name).Set(s.Milliseconds / float64(time.Second/time.Millisecond))
	}
}

// findings sets those of before to 0 instead of dropping them, so that an alert on one ends at once.
func (m *Metrics) findings(name string, findings []diagnosis.Finding) {
	now := make(map[string]bool)
	for _, f := range findings {
		now[f.Code] = true
	}
	for _, e := range diagnosis.Catalogue {
		if now[e.Code] {
			m.finding.WithLabelValues(name, e.Code).Set(1)
		} else if m.finding.DeleteLabelValues(name, e.Code) {
			m.finding.WithLabelValues(name, e.Code).Set(0)
		}
	}
}
