package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/turngate/turngate/harness/measure"
)

// The parts of the screen, from top to bottom.

func row(name, text string) string { return fmt.Sprintf(" %-10s %s", name, text) }

func (s *State) load() []string {
	l, p := s.Live, s.Live.Snapshot
	offered, achieved := rate(p.Scheduled, l.InStep), l.Values["received_pps"]
	traffic := fmt.Sprintf("%.0f packets/s   achieved %.0f   ", offered, achieved)
	if p.Scheduled > 0 {
		traffic += fmt.Sprintf("%.2f %% of what was due has come   ", 100*float64(p.Received)/float64(p.Scheduled))
	}
	lines := []string{
		row("step", fmt.Sprintf("%s   %s", l.Step, progress(l.InStep, l.Duration))),
		row("calls", fmt.Sprintf("%d up of %d   %d opening   %s", p.Calls, l.Calls, p.Opening, warn(p.Lost > 0, fmt.Sprintf("%d lost", p.Lost)))),
		row("offered", traffic+spark(s.achieved)),
	}
	if l.Delay != nil {
		if d := l.Delay(); d.Count() > 0 {
			lines = append(lines, row("delay", fmt.Sprintf("p50 %.1f   p95 %.1f   p99 %.1f ms", d.Milliseconds(0.5), d.Milliseconds(0.95), d.Milliseconds(0.99))))
		}
	}
	return append(lines, row("windows", s.lights()))
}

// rate is that since the step began.
func rate(n int64, over time.Duration) float64 {
	if over < time.Second {
		return 0
	}
	return float64(n) / over.Seconds()
}

// progress is a bar of what is over of a step.
func progress(over, all time.Duration) string {
	if all <= 0 {
		return ""
	}
	const cells = 20
	full := min(cells, int(cells*over/all))
	return fmt.Sprintf("%s%s %.0f of %.0f s", strings.Repeat("█", full), dim(strings.Repeat("░", cells-full)), min(over, all).Seconds(), all.Seconds())
}

// lights are the quality windows of the step, the newest last.
func (s *State) lights() string {
	if len(s.windows) == 0 {
		return dim("none is over yet (15 s each)")
	}
	var b strings.Builder
	for _, good := range s.windows[max(0, len(s.windows)-30):] {
		if good {
			b.WriteString(green("●"))
		} else {
			b.WriteString(red("○"))
		}
	}
	return fmt.Sprintf("%s   %d of %d calls good in the last", b.String(), s.Live.Snapshot.Good, s.Live.Snapshot.Judged)
}

func (s *State) proxy() string {
	v := s.Live.Values
	cpu, known := v["proc.cpu_cores"]
	if !known {
		return row("proxy", dim("nothing is known of it (--proxy-pid and others)"))
	}
	helpers := v["proc.helpers_cpu_cores"]
	text := fmt.Sprintf("%.2f cores, %.2f of them helpers   ", cpu+helpers, helpers)
	fds := fmt.Sprintf("%.0f descriptors", v["proc.fds"])
	if limit := v["proc.fd_limit"]; limit > 0 {
		fds = warn(v["proc.fds"] > 0.8*limit, fmt.Sprintf("%s of %.0f", fds, limit))
	}
	return row("proxy", text+fds+fmt.Sprintf("   %.0f MB   ", v["proc.rss_bytes"]/1e6)+spark(s.cpu))
}

func (s *State) generator() string {
	late := s.Live.Snapshot.Late
	text := fmt.Sprintf("late by %.2f ms at p99", late)
	switch {
	case late > 2:
		text = red(text + ": this step will be void")
	case late > 1:
		text = yellow(text)
	default:
		text = green(text)
	}
	return row("generator", text)
}

// verdict is a step that has ended, for a screen of a width; a second line says why it did not pass.
func verdict(s measure.Step, width int) []string {
	line := stepLine(s)
	if width < wideLine {
		line = shortLine(s)
	}
	colour := yellow
	switch s.Verdict {
	case measure.Pass:
		return []string{" " + green(line[:5]) + line[5:]}
	case measure.Fail:
		colour = red
	}
	lines := []string{" " + colour(line[:5]) + line[5:]}
	if reason := firstReason(s); reason != "" {
		lines = append(lines, "        "+dim(reason))
	}
	return lines
}

// spark draws the last values as bars from 0 to the largest.
func spark(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	values = values[max(0, len(values)-20):]
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		at := 0
		if top > 0 {
			at = int(v / top * float64(len(bars)-1))
		}
		b.WriteRune(bars[max(0, at)])
	}
	return dim(b.String())
}

func warn(is bool, text string) string {
	if is {
		return red(text)
	}
	return text
}

// clip cuts a line to the width of the screen, whatever colours it has, and removes what a peer may
// have put into it to move the cursor.
func clip(line string, width int) string {
	return ansi.Truncate(strings.Map(printable, line), width, "…")
}

func printable(r rune) rune {
	if r < ' ' && r != '\x1b' || r == 0x7f {
		return ' '
	}
	return r
}

func styled(code, text string) string { return "\x1b[" + code + "m" + plain(text) + "\x1b[0m" }
func bold(text string) string         { return styled("1", text) }
func dim(text string) string          { return styled("2", text) }
func red(text string) string          { return styled("31", text) }
func green(text string) string        { return styled("32", text) }
func yellow(text string) string       { return styled("33", text) }

// plain is text without the escapes that it may have brought along.
func plain(text string) string { return ansi.Strip(text) }

var _ Viewer = (*State)(nil)
