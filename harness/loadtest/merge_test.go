package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// The records of four parts, merged, hold what the record of one generator with all calls holds.
func TestMergedPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	steps := []loadgen.Step{{Calls: 6, Duration: 2 * time.Second}, {Calls: 5, Duration: time.Second}}
	var records [5]measure.Record // the last is the whole
	var all sync.WaitGroup
	for i := range records {
		lt := newTest(t, "audio", turn, d)
		if lt.Seed = 7; i < 4 {
			lt.Part = loadgen.Part{From: i, To: i + 1, Of: 4}
		}
		all.Go(func() {
			r, err := lt.Load(t.Context(), steps)
			if err != nil {
				t.Error(err)
			}
			records[i] = r
		})
	}
	all.Wait()
	var pieces []Piece
	for i, r := range records[:4] {
		pieces = append(pieces, Piece{fmt.Sprintf("%d.json", i+1), r})
	}
	got, err := Merge([]Piece{pieces[2], pieces[0], pieces[3], pieces[1]})
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, got)
	want := settled(records[4].Steps)
	if len(got.Steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(got.Steps), len(want))
	}
	for i, w := range want {
		s := got.Steps[i]
		if s.Name != w.Name || s.Schedule != w.Schedule || s.Calls != w.Calls || s.Generator.Processes != 4 || s.Generator.Coverage != 1 {
			t.Errorf("%s: %d calls, schedule %s, %+v; want %s of %d, schedule %s", s.Name, s.Calls, s.Schedule, s.Generator, w.Name, w.Calls, w.Schedule)
		}
		if s.Tunnels.Opened != w.Tunnels.Opened || s.Up.Scheduled != w.Up.Scheduled || s.Down.Scheduled != w.Down.Scheduled {
			t.Errorf("%s: %d tunnels, %d and %d packets due; want %d, %d, %d", s.Name, s.Tunnels.Opened, s.Up.Scheduled, s.Down.Scheduled, w.Tunnels.Opened, w.Up.Scheduled, w.Down.Scheduled)
		}
		var observed int64
		for _, p := range pieces {
			observed += settled(p.Record.Steps)[i].Up.Delay.Count()
		}
		if s.Up.Delay.Count() != observed || observed != s.Up.Received {
			t.Errorf("%s: %d delays of %d received, and the parts have %d", s.Name, s.Up.Delay.Count(), s.Up.Received, observed)
		}
	}
}

// fourParts are records of two calls each, made by hand: delays of 1 ms direct and 5 ms by the proxy.
func fourParts() (pieces []Piece) {
	for i := range 4 {
		r := measure.Record{Format: 1, Command: "load", Seed: 7, Part: fmt.Sprintf("%d/4", i+1), Started: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC),
			Seconds: 50, Verdict: measure.Pass, Objectives: Objectives(), Profile: measure.Profile{Name: "audio"},
			Steps: []measure.Step{partStep("direct, 8 calls", "baseline", 1, time.Millisecond), partStep("8 calls", "load", 12, 5*time.Millisecond)}}
		pieces = append(pieces, Piece{fmt.Sprintf("%d.json", i+1), r})
	}
	return pieces
}

func partStep(name, kind string, start float64, delay time.Duration) measure.Step {
	flow := func() measure.Flow {
		l := measure.NewLatency()
		for range 1000 {
			l.Record(delay)
		}
		return measure.Flow{Scheduled: 1000, Sent: 1000, Received: 1000, Delay: l, Late: []measure.Late{{Milliseconds: 60}, {Milliseconds: 100}}}
	}
	return measure.Step{Name: name, Kind: kind, Direct: kind == "baseline", Calls: 2, Start: start, Seconds: 30, Up: flow(), Down: flow(),
		Tunnels: measure.Tunnels{Wanted: 2, Opened: 2, Life: measure.NewLatency()}, Windows: []measure.Window{{Seconds: 15, Calls: 2, Passed: 2, MOS: 4}},
		Generator: measure.Generator{Lateness: measure.NewLatency(), Sent: 1, Coverage: 1}, Verdict: measure.Pass, Schedule: "1"}
}

func TestMergeJudges(t *testing.T) {
	slow := func(p []Piece) { p[2].Record.Steps[1] = partStep("8 calls", "load", 12, 80*time.Millisecond) }
	for _, c := range []struct {
		name   string
		change func(p []Piece) []Piece
		want   measure.Verdict
		reason string
	}{
		{"all", func(p []Piece) []Piece { return p }, measure.Pass, ""},
		{"three of four in one", func(p []Piece) []Piece { p[2].Record.Part = "1-3/4"; return p[2:] }, measure.Pass, ""},
		{"one is slow", func(p []Piece) []Piece { slow(p); return p }, measure.Fail, "added_p95_ms is 79"},
		{"one is missing", func(p []Piece) []Piece { return slices.Delete(p, 1, 2) }, measure.Void, "8 calls: part 2/4 is missing"},
		{"one is slow, another missing", func(p []Piece) []Piece { slow(p); return p[1:] }, measure.Void, "part 1/4 is missing"},
		{"one is void", func(p []Piece) []Piece {
			p[3].Record.Steps[1].Verdict, p[3].Record.Steps[1].Reasons = measure.Void, []string{"the generator was late"}
			return p
		}, measure.Void, "8 calls: part 4/4: the generator was late"},
		{"one was interrupted before the load", func(p []Piece) []Piece {
			p[0].Record.Partial, p[0].Record.Steps = true, p[0].Record.Steps[:1]
			return p
		}, measure.Void, "part 1/4 ended before it"},
		{"one was interrupted at its end", func(p []Piece) []Piece { p[0].Record.Partial = true; return p }, measure.Void, "part 1/4 was interrupted"},
		{"one came later", func(p []Piece) []Piece { p[1].Record.Started = p[1].Record.Started.Add(6 * time.Second); return p }, measure.Void, "together for 80 % of the time"},
		{"one came a little later", func(p []Piece) []Piece { p[1].Record.Started = p[1].Record.Started.Add(2 * time.Second); return p }, measure.Pass, ""},
		{"a baseline was tried twice", func(p []Piece) []Piece {
			void, second := p[0].Record.Steps[0], p[0].Record.Steps[0]
			void.Verdict, second.Name = measure.Void, second.Name+again
			p[0].Record.Steps = []measure.Step{void, second, p[0].Record.Steps[1]}
			return p
		}, measure.Pass, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Merge(c.change(fourParts()))
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != c.want || !strings.Contains(strings.Join(r.Reasons, "\n"), c.reason) {
				t.Errorf("%s, %q; want %s, %q", r.Verdict, r.Reasons, c.want, c.reason)
			}
			if s := r.Steps[1]; c.want == measure.Pass && (s.Figures[AddedP95] < 3.9 || s.Figures[AddedP95] > 4.1 || s.Figures[OpenedShare] != 1) {
				t.Errorf("figures %v; want 4 ms added", s.Figures)
			}
		})
	}
}

// What probes and generators saw of each host is there with its part's name, on one time axis; what adds up
// is there as the sum, and what one host alone saw of the proxy as it is.
func TestMergeKeepsRows(t *testing.T) {
	pieces := fourParts()
	for i := range pieces {
		r := &pieces[i].Record
		r.Started = r.Started.Add(time.Duration(i) * 100 * time.Millisecond)
		for at := range 45 {
			values := map[string]float64{"calls": 2, "received_pps": 100, "tcp.rtt_ms_mean": float64(i + 1)}
			if i == 1 {
				values["proc.cpu_cores"] = 0.5
			}
			r.Rows = append(r.Rows, measure.Row{At: float64(at), Values: values})
		}
		r.Steps[1].Figures = map[string]float64{WebRate: 5, WebP95: 100 + float64(i)}
	}
	pieces[3].Record.Rows = pieces[3].Record.Rows[:30] // it ended early
	r, err := Merge(pieces)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	before := 0.0
	for _, row := range r.Rows {
		if row.At < before {
			t.Fatalf("a row of %v s after one of %v s", row.At, before)
		}
		before = row.At
		for name, v := range row.Values {
			seen[name]++
			if want := map[string]float64{"calls": 8, "received_pps": 400, "part 3/4: tcp.rtt_ms_mean": 3, "proc.cpu_cores": 0.5}[name]; want != 0 && v != want {
				t.Errorf("%s is %v at %v s, want %v", name, v, row.At, want)
			}
		}
	}
	for name, want := range map[string]int{"calls": 31, "part 1/4: calls": 45, "part 4/4: calls": 30, "part 3/4: tcp.rtt_ms_mean": 45, "proc.cpu_cores": 45, "part 2/4: proc.cpu_cores": 0, "tcp.rtt_ms_mean": 0} {
		if seen[name] != want {
			t.Errorf("%s: %d rows, want %d", name, seen[name], want)
		}
	}
	for name, want := range map[string]float64{"mean_part 2/4: tcp.rtt_ms_mean": 2, "mean_proc.cpu_cores": 0.5, "mean_calls": 8, WebRate: 20, "part 3/4: " + WebP95: 102} {
		if got := r.Steps[1].Figures[name]; got != want {
			t.Errorf("figure %s is %v, want %v", name, got, want)
		}
	}
	checkSchema(t, r)
}

// What is not of one run is refused with its file and the field.
func TestMergeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *measure.Record)
		want   string
	}{
		{"no part", func(r *measure.Record) { r.Part = "" }, "3.json: part: there is none"},
		{"a part twice", func(r *measure.Record) { r.Part = "2/4" }, "3.json: part: 2/4, and 2.json has 2/4"},
		{"a part within another", func(r *measure.Record) { r.Part = "3-4/4" }, "4.json: part: 4/4, and 3.json has 3-4/4"},
		{"parts of eight", func(r *measure.Record) { r.Part = "3/8" }, "3.json: part: 3/8, and 1/4 in 1.json"},
		{"no such part", func(r *measure.Record) { r.Part = "9/4" }, `3.json: part: "9/4": want a part like 2/4`},
		{"a size", func(r *measure.Record) { r.Command = "size" }, "3.json: command: size, and load"},
		{"another seed", func(r *measure.Record) { r.Seed = 8 }, "3.json: seed: 8, and 7 in 1.json"},
		{"another profile", func(r *measure.Record) { r.Profile.Name = "720p" }, "3.json: profile.name: 720p, and audio in 1.json"},
		{"another limit", func(r *measure.Record) { r.Objectives[0].Limit = 30 }, "3.json: objectives: added_p95_ms at most 30.0 ms, and added_p95_ms at most 20.0 ms in 1.json"},
		{"fewer objectives", func(r *measure.Record) { r.Objectives = r.Objectives[:9] }, "3.json: objectives: none more, and windows_passed_share at least 95.00 % in 1.json"},
		{"fewer steps", func(r *measure.Record) { r.Steps = r.Steps[:1] }, "3.json: steps: 1, and 2 in 1.json"},
		{"no step", func(r *measure.Record) { r.Steps, r.Partial = nil, true }, "3.json: steps: 0, and 2 in 1.json"},
		{"another step", func(r *measure.Record) { r.Steps[1].Name = "9 calls" }, `3.json: steps[1]: "9 calls" (load, 30 s), and "8 calls" (load, 30 s) in 1.json`},
		{"a longer step", func(r *measure.Record) { r.Steps[1].Seconds = 60 }, `3.json: steps[1]: "8 calls" (load, 60 s), and "8 calls" (load, 30 s) in 1.json`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pieces := fourParts()
			c.change(&pieces[2].Record)
			if _, err := Merge(pieces); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := Merge(nil); err == nil {
		t.Error("nothing was merged")
	}
}
