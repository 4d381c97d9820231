package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/turngate/turngate/harness/measure"
)

// A reader of HdrHistogram logs that is not ours finds every packet of every step.
func TestHLogIsRead(t *testing.T) {
	r := sampleRecord()
	var log bytes.Buffer
	if err := RecordHLog(&log, r); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]int64)
	for _, s := range r.Steps {
		for _, g := range taggedOf(s) {
			want[tag(s.Name+"."+g.name)] += g.l.Count()
		}
	}
	reader := hdrhistogram.NewHistogramLogReader(&log)
	got := make(map[string]int64)
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		got[h.Tag()] += h.TotalCount()
	}
	for name, n := range want {
		if n > 0 && got[name] != n {
			t.Errorf("%s: %d of %d observations", name, got[name], n)
		}
	}
	if len(got) < 50 {
		t.Errorf("%d histograms", len(got))
	}
}

// A CI system takes a summary of up to 1 MiB, and the verdict must be seen first, however long the run.
func TestMarkdownIsShort(t *testing.T) {
	r := sampleRecord()
	for range 2000 {
		r.Steps = append(r.Steps, r.Steps[1])
		r.Reasons = append(r.Reasons, strings.Repeat("long ", 200))
	}
	var b bytes.Buffer
	if err := RecordMarkdown(&b, r); err != nil {
		t.Fatal(err)
	}
	if b.Len() >= 1<<20 || !strings.HasPrefix(b.String(), "### turngate size: pass\n") {
		t.Errorf("%d bytes that begin with %.40q", b.Len(), b.String())
	}
}

// What is read is what was written.
func TestReadRecord(t *testing.T) {
	r := sampleRecord()
	var b bytes.Buffer
	if err := RecordJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecord(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := RecordJSON(&again, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) || got.Steps[1].Up.Delay.Count() != r.Steps[1].Up.Delay.Count() {
		t.Error("the record has changed on the way")
	}
}

func FuzzReadRecord(f *testing.F) {
	var b bytes.Buffer
	r := sampleRecord()
	r.Steps, r.Rows = r.Steps[:1], r.Rows[:1]
	if err := RecordJSON(&b, r); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"format": 1, "steps": [{"setup": [{}]}]}`))
	f.Add([]byte(`{"format": 1, "steps": [{"figures": {"added_p95_ms": 1e308}, "calls": -1, "up": {"delay": {"hdr": "x"}}}], "rows": [{"at": -1e308, "v": {"a": 1e308}}, {}, {}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ReadRecord(bytes.NewReader(text))
		if err != nil {
			return
		}
		// Whatever can be read can be rendered.
		for _, render := range []func(*bytes.Buffer) error{
			func(b *bytes.Buffer) error { return RecordHTML(b, r) }, func(b *bytes.Buffer) error { return RecordText(b, r) },
			func(b *bytes.Buffer) error { return RecordMarkdown(b, r) }, func(b *bytes.Buffer) error { return RecordJUnit(b, r) },
		} {
			if err := render(new(bytes.Buffer)); err != nil {
				t.Fatal(err)
			}
		}
		_ = Compare([]measure.Record{r}, []measure.Record{r}, nil)
	})
}
