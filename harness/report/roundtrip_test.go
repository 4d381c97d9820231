package report

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/measure"
)

// Of a run to an echo peer every form says that delays are half of a round trip, and none that they are
// of one way.
func TestRoundTripIsLabelled(t *testing.T) {
	r := sampleRecord()
	r.Path.Direction, r.Path.Peer = measure.HalfRoundTrip, "192.0.2.20:3481"
	for i := range r.Steps {
		r.Steps[i].Down = measure.Flow{Delay: measure.NewLatency()}
	}
	for _, form := range []struct {
		name   string
		render func(io.Writer, measure.Record) error
		want   []string
	}{
		{"text", RecordText, []string{"RTT/2 p50", "half of the way to the echo peer 192.0.2.20:3481 and back"}},
		{"Markdown", RecordMarkdown, []string{"RTT/2 p50", "192.0.2.20:3481"}},
		{"JSON", RecordJSON, []string{`"delay": "rtt/2"`, `"echo_peer": "192.0.2.20:3481"`}},
		{"HTML", RecordHTML, []string{"RTT/2: through the proxy, to the echo peer and back", "RTT/2 p50", "of RTT/2", "both ways together: later than 60 ms", "192.0.2.20:3481"}},
	} {
		t.Run(form.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := form.render(&b, r); err != nil {
				t.Fatal(err)
			}
			for _, want := range form.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			for _, not := range []string{"one-way", "One-way", "DELAY p50", "from the far end"} {
				if strings.Contains(b.String(), not) {
					t.Errorf("it says %q", not)
				}
			}
		})
	}
}
