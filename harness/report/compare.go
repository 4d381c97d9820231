package report

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/turngate/turngate/harness/measure"
)

// A Comparison is what two sides of runs have in common, figure by figure. B is compared with A.
type Comparison struct {
	A, B    []measure.Record
	Unlike  []string // conditions in which the sides differ
	Rows    []Compared
	Void    int // steps left out, since they were void
	Verdict measure.Verdict
	Reasons []string
}

// A Compared is one figure of one step on both sides, a value for each time it was measured.
type Compared struct {
	Step, Metric string
	A, B         []float64 // in order of size
}

// comparable are the figures that are compared where both sides have them.
var comparable = []string{"capacity", "proxies", "delay_p50_ms", "delay_p95_ms", "delay_p99_ms", "added_p50_ms", "added_p95_ms", "added_p99_ms", "late_100ms_share", "jitter_p95_ms",
	"mos_p5", "connect_p95_ms", "connect_p99_ms", "setup_p95_ms", "opened_share", "lost_tunnels", "proxy_cores"}

// Compare lays the runs of two sides beside each other and judges by the conditions. Steps are the
// same if they have the same kind and as many calls; void ones say nothing and are left out.
func Compare(a, b []measure.Record, conditions []FailIf) Comparison {
	c := Comparison{A: a, B: b, Unlike: unlike(a, b), Verdict: measure.Pass}
	names := slices.Clone(comparable)
	for _, cond := range conditions {
		if name := cond.metric(a, b); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	left, right := c.values(a, names), c.values(b, names)
	for _, step := range left.steps {
		for _, name := range names {
			if ofDelay(name) && !sameDelay(a, b) {
				continue // they are not the same thing
			}
			x, y := left.of[[2]string{step, name}], right.of[[2]string{step, name}]
			if len(x) > 0 && len(y) > 0 {
				slices.Sort(x)
				slices.Sort(y)
				c.Rows = append(c.Rows, Compared{Step: step, Metric: name, A: x, B: y})
			}
		}
	}
	if len(c.Rows) == 0 {
		c.Verdict, c.Reasons = measure.Void, []string{"the two sides have no step in common"}
		return c
	}
	for _, cond := range conditions {
		c.judge(cond)
	}
	return c
}

// values are those of one side, by step and figure.
type values struct {
	steps []string // in order
	of    map[[2]string][]float64
}

func (v *values) add(step, metric string, value float64) {
	if !slices.Contains(v.steps, step) {
		v.steps = append(v.steps, step)
	}
	v.of[[2]string{step, metric}] = append(v.of[[2]string{step, metric}], value)
}

func (c *Comparison) values(side []measure.Record, names []string) values {
	v := values{of: make(map[[2]string][]float64)}
	for _, r := range side {
		if r.Size != nil && r.Verdict != measure.Void {
			v.add("size", "capacity", float64(r.Size.Capacity))
			v.add("size", "proxies", float64(r.Size.Proxies))
		}
		for _, s := range r.Steps {
			if s.Kind == "model" {
				continue
			}
			if s.Verdict == measure.Void {
				c.Void++
				continue
			}
			for _, name := range names {
				if value, known := stepValue(s, name); known {
					v.add(stepKey(s), name, value)
				}
			}
		}
	}
	return v
}

func stepValue(s measure.Step, name string) (float64, bool) {
	if name == "proxy_cores" {
		own, known := s.Figures["mean_proc.cpu_cores"]
		return own + s.Figures["mean_proc.helpers_cpu_cores"], known && !s.Direct
	}
	value, known := s.Figures[name]
	return value, known
}

// stepKey is the same for steps that offer the same.
func stepKey(s measure.Step) string {
	switch {
	case s.Direct:
		return fmt.Sprintf("direct, %s", plural(s.Calls, "call"))
	case s.Kind == "storm" || s.Kind == "soak":
		return s.Name
	case s.Kind == "search" && s.Figures[offeredTunnels] > 0:
		return fmt.Sprintf("%.0f tunnels/s", s.Figures[offeredTunnels])
	}
	return plural(s.Calls, "call")
}

// unlike names what figures depend on and is not the same on all runs.
func unlike(a, b []measure.Record) (list []string) {
	for _, property := range []struct {
		name string
		of   func(measure.Record) string
	}{
		{"command", func(r measure.Record) string { return r.Command }},
		{"profile", func(r measure.Record) string { return r.Profile.Name }},
		{"machine", func(r measure.Record) string { return fmt.Sprintf("%d x %s", r.Conditions.CPUs, r.Conditions.CPU) }},
		{"kernel", func(r measure.Record) string { return r.Conditions.Kernel }},
		{"turngate", func(r measure.Record) string { return r.Conditions.Version + ", " + r.Conditions.Go }},
		{"proxy", func(r measure.Record) string { return r.Path.Product }},
		{"authentication", func(r measure.Record) string { return r.Path.Auth }},
		{"delay", func(r measure.Record) string { return r.Path.Direction }},
		{"note", func(r measure.Record) string { return r.Conditions.Note }},
	} {
		x, y := each(a, property.of), each(b, property.of)
		if !slices.Equal(x, y) {
			list = append(list, fmt.Sprintf("%s: %q and %q", property.name, x, y))
		}
	}
	return list
}

// each is a property of all records, every value once.
func each(list []measure.Record, of func(measure.Record) string) (values []string) {
	for _, r := range list {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// Change is by how much the median of B differs from that of A: relative to A, and absolute. Relative
// to nothing it is not defined, and known is false.
func (c Compared) Change() (relative, absolute float64, known bool) {
	a, b := median(c.A), median(c.B)
	if a == 0 {
		return 0, b - a, b == 0
	}
	return b/a - 1, b - a, true
}

// Apart tells whether every value of one side lies beyond every value of the other.
func (c Compared) Apart() bool {
	return c.A[len(c.A)-1] < c.B[0] || c.B[len(c.B)-1] < c.A[0]
}

// Luck is in how many of so many cases the sides would be Apart in one direction if there were no
// difference at all: of all orders of the values, those in which one side comes first.
func (c Compared) Luck() int64 {
	return new(big.Int).Binomial(int64(len(c.A)+len(c.B)), int64(len(c.A))).Int64()
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
