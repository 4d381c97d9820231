package loadgen

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// Parts merge, by way of a file, to what one generator would have measured: every sample is there, and
// shares count by what they are shares of.
func TestMergeIsExact(t *testing.T) {
	whole := measure.NewLatency()
	rng := rand.New(rand.NewPCG(1, 2))
	var parts []measure.Step
	for part := range 4 {
		l := measure.NewLatency()
		for range 1000 * (part + 1) {
			d := time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond))
			l.Record(d)
			whole.Record(d)
		}
		n := l.Count()
		flow := measure.Flow{Scheduled: n, Sent: n, Received: n, PPS: float64(n), Delay: l, Late: []measure.Late{{Milliseconds: 60}, {Milliseconds: 100, Share: float64(part) / 10}}}
		s := measure.Step{
			Name: "x", Calls: 2, Start: float64(part), Seconds: 10, Up: flow, Down: measure.Flow{Delay: measure.NewLatency()}, Schedule: "ffffffffffffffff",
			Streams:   []measure.StreamQuality{{Name: "audio", Up: true, Delay: l, Jitter: l, Late: flow.Late, Scheduled: n, Stalls: 1, Freezes: 2}},
			Setup:     []measure.Phase{{Name: "tcp", Took: l}},
			Windows:   []measure.Window{{Seconds: 10, Calls: 2, Passed: 1, Delay95: float64(part), MOS: 4 - float64(part)/10}},
			Tunnels:   measure.Tunnels{Wanted: 2, Opened: 2, Lost: 1, Causes: map[string]int{"reset": 1}, Life: l},
			Generator: measure.Generator{Lateness: l, Sent: 1 - float64(part)/1000, CPU: 0.5, RSS: 100, FDs: part, FDLimit: 1000 - part, Coverage: 1},
		}
		parts = append(parts, throughFile(t, s))
	}
	m, err := Merge(parts)
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*measure.Latency{"flow": m.Up.Delay, "stream": m.Streams[0].Delay, "phase": m.Setup[0].Took, "life": m.Tunnels.Life, "lateness": m.Generator.Lateness} {
		if l.Summary() != whole.Summary() {
			t.Errorf("%s: merged %+v, want %+v", name, l.Summary(), whole.Summary())
		}
	}
	late := (1000*0 + 2000*0.1 + 3000*0.2 + 4000*0.3) / 10000
	for name, l := range map[string][]measure.Late{"flow": m.Up.Late, "stream": m.Streams[0].Late} {
		if len(l) != 2 || math.Abs(l[1].Share-late) > 1e-12 || l[1].Milliseconds != 100 {
			t.Errorf("%s: late %+v, want %v", name, l, late)
		}
	}
	if m.Calls != 8 || m.Up.Scheduled != 10000 || m.Up.PPS != 10000 || m.Tunnels.Lost != 4 || m.Tunnels.Causes["reset"] != 4 || m.Start != 0 || m.Streams[0].Stalls != 4 {
		t.Errorf("merged %+v", m)
	}
	if w := m.Windows; len(w) != 1 || w[0].Calls != 8 || w[0].Passed != 4 || w[0].Delay95 != 3 || w[0].MOS != 3.7 {
		t.Errorf("windows %+v; want the worst part's percentile", w)
	}
	if g := m.Generator; g.Sent != 0.997 || g.CPU != 2 || g.RSS != 400 || g.FDs != 3 || g.FDLimit != 997 || g.Processes != 4 {
		t.Errorf("generator %+v", g)
	}
	if m.Schedule != "fffffffffffffffc" { // 4 times -1, modulo 2^64
		t.Errorf("schedule %s", m.Schedule)
	}
}

func throughFile(t *testing.T, s measure.Step) (read measure.Step) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestMergeOfDifferentRuns(t *testing.T) {
	a := measure.Step{Name: "a"}
	for name, b := range map[string]measure.Step{"name": {Name: "b"}, "way": {Name: "a", Direct: true}, "profile": {Name: "a", Streams: make([]measure.StreamQuality, 1)}, "schedule": {Name: "a", Schedule: "?"}} {
		if _, err := Merge([]measure.Step{a, b}); err == nil {
			t.Errorf("steps with another %s were merged", name)
		}
	}
	if _, err := Merge(nil); err == nil {
		t.Error("nothing was merged")
	}
}
