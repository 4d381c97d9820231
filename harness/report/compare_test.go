package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/measure"
)

// runs are records of one step of 20 calls, each with its delay added.
func runs(added ...float64) (list []measure.Record) {
	for _, v := range added {
		s := measure.Step{Name: "20 calls", Kind: "load", Calls: 20, Verdict: measure.Pass, Figures: map[string]float64{"added_p99_ms": v, "late_100ms_share": v / 1000, "lost_tunnels": 0}}
		list = append(list, measure.Record{Command: "load", Verdict: measure.Pass, Steps: []measure.Step{s}})
	}
	return list
}

// trips are runs to an echo peer.
func trips(added ...float64) []measure.Record {
	list := runs(added...)
	for i := range list {
		list[i].Path.Direction = measure.HalfRoundTrip
	}
	return list
}

func TestCompare(t *testing.T) {
	tests := []struct {
		name   string
		a, b   []measure.Record
		failIf string
		want   measure.Verdict
		says   string
	}{
		{"nothing asked", runs(10), runs(20), "", measure.Pass, ""},
		{"one way and a round trip", runs(10), trips(20), "added_p99>+10%", measure.Void, "no such figure in common"},
		{"one way and a round trip, what is the same", runs(10), trips(20), "lost_tunnels>+0%", measure.Pass, ""},
		{"round trips", trips(10), trips(20), "added_p99>+10%", measure.Fail, "+100.0 %"},
		{"within the limit", runs(10, 10.5, 11), runs(10.8, 11, 11.2), "added_p99>+10%", measure.Pass, ""},
		{"beyond it and the spread", runs(10, 10.5, 11), runs(12, 12.5, 13), "added_p99>+10%", measure.Fail, "by luck once in 20"},
		{"beyond it, within the spread", runs(10, 10.5, 14), runs(12, 12.5, 13), "added_p99>+10%", measure.Void, "within the spread"},
		{"once each", runs(10), runs(12), "added_p99>+10%", measure.Fail, "the spread is not known"},
		{"better is no failure", runs(10), runs(2), "added_p99>+10%", measure.Pass, ""},
		{"less than wanted", runs(10, 10), runs(2, 2), "added_p99<-50%", measure.Fail, "once in 6"},
		{"in its own unit", runs(10), runs(12.5), "added_p99_ms > +2", measure.Fail, "+25.0 %"},
		{"in its own unit, kept", runs(10), runs(11.5), "added_p99_ms > +2", measure.Pass, ""},
		{"a share", runs(10), runs(20), "late_100ms>+50%", measure.Fail, "1.00 %, then 2.00 %"},
		{"from nothing to nothing", runs(10), runs(10), "lost_tunnels>+0%", measure.Pass, ""},
		{"no such figure", runs(10), runs(10), "mos_p5<-1%", measure.Void, "no such figure in common"},
		{"no step in common", runs(10), nil, "added_p99>+10%", measure.Void, "no step in common"},
		{"the void are left out", runs(10), voided(runs(99)), "added_p99>+10%", measure.Void, "no step in common"},
		{"capacity", []measure.Record{sampleRecord()}, []measure.Record{sized(30)}, "capacity<-5%", measure.Fail, "size has 40, then 30"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var conditions []FailIf
			if tt.failIf != "" {
				c, err := ParseFailIf(tt.failIf)
				if err != nil {
					t.Fatal(err)
				}
				conditions = append(conditions, c)
			}
			got := Compare(tt.a, tt.b, conditions)
			if said := strings.Join(got.Reasons, "\n"); got.Verdict != tt.want || !strings.Contains(said, tt.says) {
				t.Errorf("got %s, %q; want %s, %q", got.Verdict, said, tt.want, tt.says)
			}
		})
	}
}

func voided(list []measure.Record) []measure.Record {
	for i := range list {
		list[i].Steps[0].Verdict = measure.Void
	}
	return list
}

func sized(capacity int) measure.Record {
	r := sampleRecord()
	size := *r.Size
	size.Capacity, r.Size = capacity, &size
	return r
}

func TestParseFailIf(t *testing.T) {
	for _, bad := range []string{"", "added", "added_p99>", "added_p99>10x", "added_p99=10%", "> 10%", "a>1%%"} {
		if c, err := ParseFailIf(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, c)
		}
	}
}

func TestCompareText(t *testing.T) {
	a, b := runs(10, 10.5, 11), runs(12, 12.5, 13)
	b[1].Conditions.Kernel = "Linux 7"
	c, err := ParseFailIf("added_p99>+10%")
	if err != nil {
		t.Fatal(err)
	}
	var text, markdown bytes.Buffer
	comparison := Compare(a, b, []FailIf{c})
	if err := CompareText(&text, comparison); err != nil {
		t.Fatal(err)
	}
	if err := CompareMarkdown(&markdown, comparison); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAIL\n", "not the same on both sides: kernel: [\"\"] and [\"\" \"Linux 7\"]",
		"20 calls  added_p99_ms      10.5 ms (10.0 ms to 11.0 ms, n=3)", "+19.0 %  beyond, luck 1:20", "A is 3 runs, B 3 runs",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if !strings.Contains(markdown.String(), "| 20 calls | added_p99_ms | 10.5 ms (10.0 ms to 11.0 ms, n=3) | 12.5 ms (12.0 ms to 13.0 ms, n=3) | +19.0 % |") {
		t.Errorf("got\n%s", markdown.String())
	}
}
