package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// metricWords say what the figures are that objectives name.
var metricWords = map[string]string{
	"delay_p50_ms": "one-way delay, median", "delay_p95_ms": "one-way delay, 95th percentile", "delay_p99_ms": "one-way delay, 99th percentile",
	"added_p50_ms": "delay the proxy adds, median", "added_p95_ms": "delay the proxy adds, 95th percentile", "added_p99_ms": "delay the proxy adds, 99th percentile",
	"jitter_p95_ms": "jitter (RFC 3550), 95th percentile", "windows_passed_share": "call-windows of good quality", "mos_p5": "estimated MOS, 5th percentile",
	"setup_p95_ms": "set-up until first media, 95th percentile", "setup_p99_ms": "set-up until first media, 99th percentile",
	"connect_p95_ms": "opening a tunnel, 95th percentile", "connect_p99_ms": "opening a tunnel, 99th percentile",
	"opened_share": "tunnels that opened", "lost_tunnels": "tunnels cut while in use",
}

// inWords are those for a metric, or its name.
func inWords(metric string) string {
	if w, ok := metricWords[metric]; ok {
		return w
	}
	if late, ok := strings.CutSuffix(metric, "ms_share"); ok {
		if deadline, ok := strings.CutPrefix(late, "late_"); ok {
			return "packets later than " + deadline + " ms, or never"
		}
	}
	return metric
}

// figure prints a figure with its unit, which its name ends in.
func figure(metric string, v float64) string {
	switch {
	case strings.HasSuffix(metric, "_ms"):
		return milliseconds(v)
	case strings.HasSuffix(metric, "_share"):
		return percent(v)
	case strings.HasSuffix(metric, "_bytes"):
		return memory(v)
	case strings.HasSuffix(metric, "_cores"):
		return fmt.Sprintf("%.2f cores", v)
	}
	return plain(v)
}

func milliseconds(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.1f ms", v)
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

func memory(v float64) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.2f GB", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f kB", v/1e3)
	}
	return fmt.Sprintf("%.0f B", v)
}

// plain prints whole numbers as they are, others with three digits.
func plain(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return fmt.Sprintf("%.3g", v)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// stepName is that of a step, and whether it came to its end.
func stepName(s measure.Step) string {
	if s.Partial {
		return s.Name + " (partial)"
	}
	return s.Name
}

// headline says in one sentence what came out.
func headline(r measure.Record) string {
	if r.Size != nil && r.Size.Sentence != "" {
		return r.Size.Sentence
	}
	s := reference(r)
	switch {
	case r.Verdict == measure.Void || s == nil:
		return void(r)
	case r.Verdict == measure.Fail:
		return fmt.Sprintf("The proxy does not carry %s of %s within the objectives.", plural(heaviest(r).Calls, "call"), r.Profile.Name)
	}
	return fmt.Sprintf("The proxy carries %s of %s within every objective%s.", plural(s.Calls, "call"), r.Profile.Name, quality(r, s))
}

// void says that the run could not be judged, and what all the same passed.
func void(r measure.Record) string {
	passed, all := 0, 0
	for _, s := range r.Steps {
		if judged(s) {
			all++
			if s.Verdict == measure.Pass {
				passed++
			}
		}
	}
	if passed == 0 {
		return "Nothing can be said about the proxy from this run."
	}
	return fmt.Sprintf("This run as a whole could not be judged; %d of its %s passed.", passed, plural(all, "step"))
}

// quality says how a step went, in a subordinate clause.
func quality(r measure.Record, s *measure.Step) string {
	added, known := s.Figures["added_p95_ms"]
	if !known {
		return ""
	}
	text := fmt.Sprintf(": it adds %s of %s at the 95th percentile", milliseconds(added), delayName(r))
	if late, known := s.Figures["late_100ms_share"]; known {
		text += fmt.Sprintf(", and %s of the packets come too late", percent(late))
	}
	return text
}

// judged are the steps through the proxy that count for the verdict.
func judged(s measure.Step) bool { return !s.Direct && s.Kind != "search" && s.Kind != "model" }

// heaviest is the judged step with the most calls, nil if there is none.
func heaviest(r measure.Record) (most *measure.Step) {
	for i, s := range r.Steps {
		if judged(s) && (most == nil || s.Calls > most.Calls) {
			most = &r.Steps[i]
		}
	}
	return most
}

// reference is the step whose figures are quoted: of a sizing the last one that passed with as many calls as were found, else
// the one with the most calls that passed, or if none did, the one with the most calls.
func reference(r measure.Record) (best *measure.Step) {
	for i, s := range r.Steps {
		if n, has := calls.of(s); has && r.Size != nil && s.Verdict == measure.Pass && int(n) == r.Size.Capacity {
			best = &r.Steps[i]
		}
	}
	if best != nil {
		return best
	}
	for i, s := range r.Steps {
		if judged(s) && s.Verdict == measure.Pass && (best == nil || s.Calls >= best.Calls) {
			best = &r.Steps[i]
		}
	}
	if best == nil {
		return heaviest(r)
	}
	return best
}
