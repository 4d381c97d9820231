// Package measure keeps what was observed: latencies in histograms that add exactly, and their
// summaries. It judges nothing.
package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range is the same everywhere, so that histograms merge without loss.
const (
	lowest  = 1          // microsecond
	highest = 60_000_000 // microseconds: a minute
	digits  = 3          // significant decimal digits
)

// A Latency is a histogram of durations, in microseconds with three significant digits; durations
// beyond a minute count as a minute. It is not safe for concurrent use: keep one per goroutine and
// Merge.
type Latency struct{ h *hdrhistogram.Histogram }

// NewLatency returns an empty histogram.
func NewLatency() *Latency {
	return &Latency{hdrhistogram.New(lowest, highest, digits)}
}

// Record adds one observation.
func (l *Latency) Record(d time.Duration) {
	// RecordValue fails only outside the range, which the clamp excludes.
	_ = l.h.RecordValue(min(max(d.Microseconds(), lowest), highest))
}

// Merge adds all observations of other.
func (l *Latency) Merge(other *Latency) { l.h.Merge(other.h) }

// Count is how many observations there are.
func (l *Latency) Count() int64 { return l.h.TotalCount() }

// Milliseconds is the value below which the share (0 to 1) of the observations lies, in milliseconds;
// 0 if there are none.
func (l *Latency) Milliseconds(share float64) float64 {
	if l.h.TotalCount() == 0 {
		return 0
	}
	return float64(l.h.ValueAtPercentile(share*100)) / 1000
}

// Clone returns a copy.
func (l *Latency) Clone() *Latency { return &Latency{l.h.Clone()} }

// Histogram is the histogram itself, of microseconds, to be read only.
func (l *Latency) Histogram() *hdrhistogram.Histogram { return l.h }

// Summary is what is quoted of a Latency; durations in milliseconds.
type Summary struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Summary sums up; of no observations it is zero.
func (l *Latency) Summary() Summary {
	if l.h.TotalCount() == 0 {
		return Summary{}
	}
	at := func(p float64) float64 { return float64(l.h.ValueAtPercentile(p)) / 1000 }
	return Summary{Count: l.h.TotalCount(), P50: at(50), P90: at(90), P95: at(95), P99: at(99), Max: float64(l.h.Max()) / 1000}
}

// Milliseconds is a duration as the reports print it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
