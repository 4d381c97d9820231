package loadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// What this machine did is no proof against the proxy, and a baseline beside which the proxy would look
// better is none. Each case is a step of two cores.
func TestExcuse(t *testing.T) {
	late := func(d time.Duration) measure.Generator {
		l := measure.NewLatency()
		for range 1000 {
			l.Record(time.Millisecond / 10)
		}
		l.Record(d)
		return measure.Generator{Lateness: l}
	}
	cpu := func(idle, others float64) map[string]float64 {
		return map[string]float64{"mean_host.idle_cores": idle, "mean_host.other_cores": others}
	}
	slow, fast := flow(5, 100, 0), flow(5, 10, 0)
	refused := measure.Tunnels{Wanted: 10, Opened: 9}
	for _, c := range []struct {
		name    string
		step    measure.Step
		figures map[string]float64
		want    measure.Verdict
		why     string
	}{
		{"slow by itself", measure.Step{Up: slow, Generator: late(299 * time.Millisecond)}, nil, measure.Fail, "added_p95_ms"},
		{"slow in a standstill", measure.Step{Up: slow, Generator: late(500 * time.Millisecond)}, nil, measure.Void, "this machine stood still: the generator's clock came 0.5 s late"},
		{"slow while rows were late", measure.Step{Up: slow}, map[string]float64{"max_row_late_ms": 400}, measure.Void, "looked at 0.4 s late"},
		{"rows in time", measure.Step{Up: slow}, map[string]float64{"max_row_late_ms": 250}, measure.Fail, "added_p95_ms"},
		{"passes in a standstill", measure.Step{Up: fast, Generator: late(time.Second)}, nil, measure.Pass, ""},
		{"refuses tunnels in a standstill", measure.Step{Up: slow, Generator: late(time.Second), Tunnels: refused}, nil, measure.Fail, "opened_share"},
		{"baseline in a standstill", measure.Step{Direct: true, Up: fast, Generator: late(time.Second)}, nil, measure.Void, "stood still"},

		{"others took a core", measure.Step{Up: slow}, cpu(0.02, 1), measure.Void, "other programs took 1.00 of this machine's 2 cores, and none was idle"},
		{"others took a core, and passed", measure.Step{Up: fast}, cpu(0, 1), measure.Pass, ""},
		{"others took a core of the baseline", measure.Step{Direct: true, Up: fast}, cpu(0, 1), measure.Void, "other programs"},
		{"others took a core, one was idle", measure.Step{Up: slow}, cpu(0.8, 1), measure.Fail, "added_p95_ms"},
		{"ours took all", measure.Step{Up: slow}, cpu(0, 0.1), measure.Fail, "added_p95_ms"},
		{"whose it is is not known", measure.Step{Up: slow}, map[string]float64{"mean_host.idle_cores": 0}, measure.Fail, "added_p95_ms"},
		{"nothing is known", measure.Step{Up: slow}, nil, measure.Fail, "added_p95_ms"},
		{"the generator was late as well", measure.Step{Verdict: measure.Void, Reasons: []string{"late"}, Up: slow}, cpu(0, 1), measure.Void, "late;other programs"},
	} {
		s := c.step
		judge(&s, &measure.Step{Direct: true, Up: flow(1, 2, 0)}, limits)
		for k, v := range c.figures {
			s.Figures[k] = v
		}
		excuse(&s, limits, 2)
		if reasons := strings.Join(s.Reasons, ";"); s.Verdict != c.want || !strings.Contains(reasons, c.why) || c.why == "" && reasons != "" {
			t.Errorf("%s: %s %q, want %s %q", c.name, s.Verdict, s.Reasons, c.want, c.why)
		}
	}
}

// A row's lateness counts from the tick that it waited for.
func TestLateBy(t *testing.T) {
	for _, c := range []struct{ ready, woken, want float64 }{
		{0, 1, 0}, {0, 1.4, 0.4}, {1.1, 2, 0}, {1.1, 2.3, 0.3}, {1.9, 2.05, 0.05}, {2, 2, 0},
		{2.5, 2.5, 0},   // what it did took longer than a second: a tick was waiting for it
		{1.1, 4.2, 2.2}, // ticks were missed
	} {
		if got := lateBy(seconds(c.ready), seconds(c.woken), time.Second); (got - seconds(c.want)).Abs() > time.Microsecond {
			t.Errorf("ready at %v, woken at %v: %v late, want %v s", c.ready, c.woken, got, c.want)
		}
	}
}
