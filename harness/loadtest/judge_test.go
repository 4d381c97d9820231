package loadtest

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// took is a latency of n observations from lowest to highest, evenly spread, in milliseconds.
func took(lowest, highest, n int) *measure.Latency {
	l := measure.NewLatency()
	for i := range n {
		l.Record(time.Duration(lowest)*time.Millisecond + time.Duration(highest-lowest)*time.Millisecond*time.Duration(i)/time.Duration(n-1))
	}
	return l
}

func flow(lowest, highest int, late100 float64) measure.Flow {
	return measure.Flow{Delay: took(lowest, highest, 1001), Late: []measure.Late{{Milliseconds: 60, Share: late100 * 2}, {Milliseconds: 100, Share: late100}}}
}

func TestFigures(t *testing.T) {
	baseline := &measure.Step{Direct: true, Up: flow(1, 11, 0), Down: flow(2, 3, 0)}
	s := &measure.Step{
		Up: flow(10, 110, 0.01), Down: flow(50, 60, 0.02),
		Setup:   []measure.Phase{{Name: "connect", Took: took(10, 20, 101)}, {Name: "total", Took: took(30, 130, 101)}},
		Windows: []measure.Window{{Calls: 10, Passed: 10, MOS: 4.2}, {Calls: 10, Passed: 5, MOS: 3.1}},
		Streams: []measure.StreamQuality{{Jitter: took(1, 2, 11)}, {Jitter: took(3, 5, 11)}},
		Tunnels: measure.Tunnels{Wanted: 10, Opened: 9, Lost: 2},
	}
	got := figures(s, baseline)
	for name, want := range map[string]float64{
		DelayP50: 60, DelayP95: 105, // up: 10+0.95*100; the median is worse up (60) than down (55)
		AddedP50: 54, AddedP95: 94.5,
		"late_100ms_share": 0.02, "late_60ms_share": 0.04,
		WindowsPassed: 0.75, MOSp5: 3.1, JitterP95: 4.8,
		ConnectP95: 19.5, SetupP95: 125, OpenedShare: 0.9, LostTunnels: 2,
	} {
		if math.Abs(got[name]-want) > 0.002*want+0.1 {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if f := figures(&measure.Step{}, nil); len(f) != 1 { // no tunnel was lost
		t.Errorf("of nothing: %v", f)
	}
	if f := figures(s, nil); f[AddedP50] != 0 || slices.Contains(keys(f), AddedP50) {
		t.Error("something was added to nothing")
	}
}

func keys(f map[string]float64) (names []string) {
	for name := range f {
		names = append(names, name)
	}
	return names
}

var limits = []measure.Objective{
	{Metric: AddedP95, Max: true, Limit: 20, Source: "why"}, {Metric: OpenedShare, Limit: 0.999}, {Metric: MOSp5, Limit: 3.5},
}

func TestJudge(t *testing.T) {
	baseline := &measure.Step{Direct: true, Up: flow(1, 2, 0), Down: flow(1, 2, 0)}
	for _, c := range []struct {
		name string
		step measure.Step
		want measure.Verdict
		why  string
	}{
		{"good", measure.Step{Up: flow(5, 10, 0), Down: flow(5, 10, 0), Tunnels: measure.Tunnels{Wanted: 5, Opened: 5}}, measure.Pass, ""},
		{"slow", measure.Step{Up: flow(5, 10, 0), Down: flow(5, 100, 0)}, measure.Fail, "added_p95_ms is 93.3 ms, want at most 20.0 ms (why)"},
		{"refused", measure.Step{Tunnels: measure.Tunnels{Wanted: 10, Opened: 9}}, measure.Fail, "opened_share is 90.00 %, want at least 99.90 %"},
		{"generator", measure.Step{Verdict: measure.Void, Reasons: []string{"late"}, Down: flow(5, 100, 0)}, measure.Void, "late"},
		{"refused of a late generator", measure.Step{Verdict: measure.Void, Reasons: []string{"late"}, Tunnels: measure.Tunnels{Wanted: 10, Opened: 9, Refused: 1}}, measure.Fail,
			"opened_share is 90.00 %, want at least 99.90 %, by the proxy's own answers"},
		{"unanswered of a late generator", measure.Step{Verdict: measure.Void, Reasons: []string{"late"}, Tunnels: measure.Tunnels{Wanted: 2000, Opened: 1990, Refused: 1}}, measure.Void, "late"},
		{"direct", measure.Step{Direct: true, Tunnels: measure.Tunnels{Wanted: 10, Opened: 9}}, measure.Pass, ""},
	} {
		s := c.step
		judge(&s, baseline, limits)
		if s.Verdict != c.want || !strings.Contains(strings.Join(s.Reasons, ";"), c.why) || c.why == "" && len(s.Reasons) > 0 {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, s.Verdict, s.Reasons, c.want, c.why)
		}
	}
}

// A baseline that shows the generator proves nothing: with it a step fails by what needs no
// comparison, or is void.
func TestVoidBaseline(t *testing.T) {
	baseline := &measure.Step{Direct: true, Verdict: measure.Void, Up: flow(1, 2, 0)}
	for late, want := range map[float64]measure.Verdict{0: measure.Void, 0.5: measure.Fail} {
		s := measure.Step{Up: flow(1, 2, late)}
		judge(&s, baseline, Objectives())
		if _, compared := s.Figures[AddedP95]; s.Verdict != want || len(s.Reasons) != 1 || compared {
			t.Errorf("late %v: %s %q, figures %v; want %s, and no comparison", late, s.Verdict, s.Reasons, s.Figures, want)
		}
	}
}

func TestOverall(t *testing.T) {
	step := func(kind string, v measure.Verdict, opened float64) measure.Step {
		return measure.Step{Name: kind, Kind: kind, Verdict: v, Reasons: []string{"because"}, Figures: map[string]float64{OpenedShare: opened}}
	}
	for _, c := range []struct {
		name    string
		steps   []measure.Step
		partial bool
		want    measure.Verdict
		reason  string
	}{
		{"nothing", nil, false, measure.Void, "nothing was measured"},
		{"pass", []measure.Step{step("load", measure.Pass, 1)}, false, measure.Pass, ""},
		{"one fails", []measure.Step{step("load", measure.Pass, 1), step("load", measure.Fail, 0.5), step("load", measure.Pass, 1)}, false, measure.Fail, "opened_share is 50.00 %"},
		{"search may fail", []measure.Step{step("search", measure.Fail, 0.5), step("confirm", measure.Pass, 1)}, false, measure.Pass, ""},
		{"void", []measure.Step{step("load", measure.Void, 1)}, false, measure.Void, "load: because"},
		{"void beside pass", []measure.Step{step("load", measure.Pass, 1), step("load", measure.Void, 1)}, false, measure.Void, "load: because"},
		{"partial", []measure.Step{step("load", measure.Pass, 1)}, true, measure.Void, ""},
		{"partial and failed", []measure.Step{step("load", measure.Fail, 0.5)}, true, measure.Fail, "opened_share"},
	} {
		r := measure.Record{Steps: c.steps, Objectives: slices.Clone(limits), Partial: c.partial}
		overall(&r)
		if r.Verdict != c.want || !strings.Contains(strings.Join(r.Reasons, ";"), c.reason) {
			t.Errorf("%s: %s %q, want %s, %q", c.name, r.Verdict, r.Reasons, c.want, c.reason)
		}
	}
}
