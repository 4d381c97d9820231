package measure

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	l := NewLatency()
	for i := 1; i <= 100; i++ {
		l.Record(time.Duration(i) * time.Millisecond)
	}
	got := l.Summary()
	want := Summary{Count: 100, P50: 50, P90: 90, P95: 95, P99: 99, Max: 100}
	for _, p := range [][2]float64{{got.P50, want.P50}, {got.P90, want.P90}, {got.P95, want.P95}, {got.P99, want.P99}, {got.Max, want.Max}} {
		if math.Abs(p[0]-p[1]) > p[1]/500 { // three digits
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got.Count != want.Count {
		t.Errorf("count %d, want %d", got.Count, want.Count)
	}
}

func TestSummaryOfNothing(t *testing.T) {
	if got := NewLatency().Summary(); got != (Summary{}) {
		t.Errorf("got %+v, want zero", got)
	}
}

func TestRecordClamps(t *testing.T) {
	l := NewLatency()
	l.Record(-time.Second)
	l.Record(0)
	l.Record(time.Hour)
	if got := l.Summary(); got.Count != 3 || got.Max < 59_000 {
		t.Errorf("got %+v, want 3 observations, the longest a minute", got)
	}
}

func TestMergeAddsExactly(t *testing.T) {
	whole, a, b := NewLatency(), NewLatency(), NewLatency()
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		whole.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(b)
	if got, want := a.Summary(), whole.Summary(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLatencyThroughJSON(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		l := NewLatency()
		for i := range n {
			l.Record(time.Duration(i*i) * time.Microsecond)
		}
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back Latency
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !back.Histogram().Equals(l.Histogram()) || back.Summary() != l.Summary() {
			t.Errorf("of %d observations: got %+v, want %+v", n, back.Summary(), l.Summary())
		}
	}
}

func FuzzLatencyFromJSON(f *testing.F) {
	l := NewLatency()
	l.Record(time.Millisecond)
	text, err := json.Marshal(l)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"hdr":"HISTFAAAAAA="}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l Latency
		if err := l.UnmarshalJSON(text); err == nil {
			l.Summary()
		}
	})
}
