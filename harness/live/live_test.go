package live

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func delay(values ...time.Duration) *measure.Latency {
	l := measure.NewLatency()
	for _, v := range values {
		l.Record(v)
	}
	return l
}

func sample(number int) loadtest.Live {
	return loadtest.Live{
		Number: number, Step: "20 calls", Calls: 20, Duration: 30 * time.Second, InStep: 15 * time.Second, Elapsed: 75 * time.Second,
		Snapshot: loadgen.Snapshot{Calls: 19, Opening: 1, Lost: 2, Scheduled: 30000, Sent: 30000, Received: 29970, Window: 1, Judged: 20, Good: 20, Late: 0.08,
			Failed: map[string]int{"refused with 503": 3}},
		Values: map[string]float64{"received_pps": 1998, "proc.cpu_cores": 0.5, "proc.helpers_cpu_cores": 0.25, "proc.fds": 130, "proc.fd_limit": 1024, "proc.rss_bytes": 31e6},
		Delay:  func() *measure.Latency { return delay(time.Millisecond, 3*time.Millisecond) },
	}
}

func step(name string, v measure.Verdict) measure.Step {
	return measure.Step{Name: name, Verdict: v, Figures: map[string]float64{"delay_p95_ms": 2.5, "added_p95_ms": 1.5, "connect_p95_ms": 12},
		Up:   measure.Flow{Scheduled: 100, Sent: 100, Received: 99, Delay: delay(time.Millisecond)},
		Down: measure.Flow{Scheduled: 100, Sent: 100, Received: 100, Delay: delay(20 * time.Millisecond)}, Tunnels: measure.Tunnels{Lost: 1, Causes: map[string]int{"refused": 2}}}
}

func TestRender(t *testing.T) {
	s := State{Title: "turngate · audio"}
	s.StepDone(step("5 calls", measure.Pass))
	s.Progress(sample(2))
	screen := s.Render(80, 24)
	text := ansi.Strip(screen)
	for _, want := range []string{
		"turngate · audio  1:15", "20 calls   ██████████░░░░░░░░░░ 15 of 30 s", "19 up of 20   1 opening   2 lost", "2000 packets/s   achieved 1998   99.90 % of what was due has come",
		"p50 1.0   p95 3.0", "●   20 of 20 calls good in the last", "0.75 cores, 0.25 of them helpers   130 descriptors of 1024   31 MB", "late by 0.08 ms at p99",
		"3 x refused with 503", "pass   5 calls", "q stops and reports",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s.Stopping = true
	if !strings.Contains(s.Render(80, 24), "stopping; what was measured is being written") {
		t.Error("it does not say that it stops")
	}
}

// Whatever the size, the screen is that large and no line is longer.
func TestRenderFits(t *testing.T) {
	s := State{Title: "turngate · audio"}
	for range 50 {
		s.StepDone(step("5 calls", measure.Void))
		s.Progress(sample(2))
	}
	for _, size := range [][2]int{{80, 24}, {40, 12}, {200, 60}, {0, 0}, {1, 1}} {
		width, height := size[0], size[1]
		if width == 0 {
			width, height = 80, 24
		}
		lines := strings.Split(s.Render(size[0], size[1]), "\n")
		if height > 10 && len(lines) != height {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if got := ansi.StringWidth(line); got > width {
				t.Errorf("%v: a line %d wide: %q", size, got, line)
			}
		}
	}
}

// A cause that a peer has worded cannot move the cursor or colour the screen.
func TestRenderHostile(t *testing.T) {
	var s State
	l := sample(1)
	l.Snapshot.Failed = map[string]int{"\x1b[2J\x1b[31mgone\r\nHTTP\x07": 1}
	s.Progress(l)
	screen := s.Render(80, 24)
	for _, bad := range []string{"\x1b[2J", "\r", "\x07"} {
		if strings.Contains(screen, bad) {
			t.Errorf("the screen holds %q", bad)
		}
	}
}

// The windows of a step are lights, a new step begins with none.
func TestWindows(t *testing.T) {
	var s State
	l := sample(1)
	for i, good := range []int{20, 20, 15} {
		l.Snapshot.Window, l.Snapshot.Good = i+1, good
		s.Progress(l)
		s.Progress(l)
	}
	if got := ansi.Strip(s.lights()); !strings.HasPrefix(got, "●●○ ") {
		t.Errorf("got %q", got)
	}
	l.Number, l.Snapshot.Window = 2, 0
	s.Progress(l)
	if got := ansi.Strip(s.lights()); strings.Contains(got, "●") {
		t.Errorf("a new step begins with %q", got)
	}
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	l := Lines{&b}
	l.Progress(sample(1))
	other := sample(1)
	other.Elapsed = 76 * time.Second
	l.Progress(other)
	l.StepDone(step("5 calls", measure.Fail))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "19 up    1 opening    2 lost     1998 packets/s  proxy 0.75 cores, 130 fds  3 x refused with 503") || !strings.HasPrefix(lines[1], "fail   5 calls") {
		t.Errorf("got\n%s", b.String())
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, text)
	}
	return string(text)
}

// Counters add up what has ended and what is under way, each packet once.
func TestMetrics(t *testing.T) {
	var m Metrics
	scrape(t, &m) // before anything is known
	m.Progress(sample(1))
	first := scrape(t, &m)
	m.StepDone(step("20 calls", measure.Pass))
	between := scrape(t, &m)
	m.Progress(sample(2))
	second := scrape(t, &m)
	m.Ended(measure.Pass)
	for _, c := range []struct{ when, text, want string }{
		{"in the first step", first, `turngate_load_packets_total{state="received",way="proxied"} 29970`},
		{"in the first step", first, `turngate_load_calls 19`},
		{"in the first step", first, `turngate_load_watched{name="proc.fds"} 130`},
		{"in the first step", first, `turngate_load_delay_seconds_bucket{way="proxied",le="0.001"} 1`},
		{"in the first step", first, `turngate_load_delay_seconds_count{way="proxied"} 2`},
		{"after it", between, `turngate_load_packets_total{state="received",way="proxied"} 199`},
		{"after it", between, `turngate_load_delay_seconds_bucket{way="proxied",le="0.02"} 1`},
		{"after it", between, `turngate_load_delay_seconds_bucket{way="proxied",le="0.05"} 2`},
		{"after it", between, `turngate_load_steps_total{verdict="pass"} 1`},
		{"in the second", second, `turngate_load_packets_total{state="received",way="proxied"} 30169`},
		{"in the second", second, `turngate_load_delay_seconds_count{way="proxied"} 4`},
		{"in the second", second, `turngate_load_lost_tunnels_total 3`},
		{"in the second", second, `turngate_load_failed_tunnels_total{cause="refused"} 2`},
		{"at the end", scrape(t, &m), `turngate_load_result{verdict="pass"} 1`},
	} {
		if !strings.Contains(c.text, c.want+"\n") {
			t.Errorf("%s: no %s in\n%s", c.when, c.want, c.text)
		}
	}
}

// The native buckets hold every packet, in a bucket at most nine per cent wide.
func TestNativeHistogram(t *testing.T) {
	var out dto.Metric
	if err := (histogram{descDelay, delay(time.Millisecond, time.Millisecond, 100*time.Millisecond), "direct"}).Write(&out); err != nil {
		t.Fatal(err)
	}
	h := out.GetHistogram()
	if h.GetSampleCount() != 3 || h.GetSchema() != 3 || len(h.GetPositiveSpan()) != 2 || len(h.GetBucket()) == 0 {
		t.Fatalf("got %v", h)
	}
	if at := h.GetPositiveSpan()[0].GetOffset(); at != -79 { // 2^(-80/8) < 0.001 <= 2^(-79/8)
		t.Errorf("a millisecond is in bucket %d", at)
	}
}

// On 80 columns a step's line has its figures, and one that did not pass its reason.
func TestRenderNarrow(t *testing.T) {
	var s State
	failed := step("search: 120 calls", measure.Fail)
	failed.Figures["late_100ms_share"] = 0.01
	failed.Reasons = []string{"late_100ms_share is 3.00 %, want at most 1.00 %", "another"}
	s.StepDone(failed)
	s.Progress(sample(2))
	text := ansi.Strip(s.Render(80, 24))
	for _, want := range []string{"\n fail   search: 120 calls            p95   2.5 ms, added  1.5, late 1.00 %\n", "\n        late_100ms_share is 3.00 %, want at most 1.00 %; and 1 more\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if wide := ansi.Strip(s.Render(200, 50)); !strings.Contains(wide, "connect p95     12 ms") {
		t.Errorf("on 200 columns the line is cut:\n%s", wide)
	}
}
