package live

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
)

// A Viewer is told how a run goes. Its methods may be called from two goroutines.
type Viewer interface {
	Progress(loadtest.Live)
	StepDone(measure.Step)
}

// Lines prints a line every five seconds, and one for each step.
type Lines struct{ W io.Writer }

// Progress prints one line of five.
func (l Lines) Progress(live loadtest.Live) {
	if int(live.Elapsed.Seconds())%5 != 0 {
		return
	}
	s := live.Snapshot
	line := fmt.Sprintf("%6.0f s  %-28s %5d up %4d opening %4d lost %8.0f packets/s", live.Elapsed.Seconds(), live.Step, s.Calls, s.Opening, s.Lost, live.Values["received_pps"])
	if cpu, ok := live.Values["proc.cpu_cores"]; ok {
		line += fmt.Sprintf("  proxy %.2f cores, %.0f fds", cpu+live.Values["proc.helpers_cpu_cores"], live.Values["proc.fds"])
	}
	if text := failures(s.Failed); text != "" {
		line += "  " + text
	}
	fmt.Fprintln(l.W, line)
}

// StepDone prints a step's line, and if it did not pass another one that says why.
func (l Lines) StepDone(s measure.Step) {
	fmt.Fprintln(l.W, stepLine(s))
	if reason := firstReason(s); reason != "" {
		fmt.Fprintln(l.W, "       "+plain(reason))
	}
}

// firstReason is why a step did not pass; "" of one that did.
func firstReason(s measure.Step) string {
	if s.Verdict == measure.Pass || len(s.Reasons) == 0 {
		return ""
	}
	text := s.Reasons[0]
	if more := len(s.Reasons) - 1; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// wideLine is how many columns stepLine takes with all that it may have.
const wideLine = 120

// A shown figure of a step: how it is printed in a line for any terminal, and in one for 80 columns; "" is
// left out.
type shown struct {
	metric      string
	long, short string
	times       float64
}

var shownFigures = []shown{
	{loadtest.DelayP95, "delay p95 %7.1f ms", "p95 %5.1f ms", 1},
	{loadtest.AddedP95, "added %6.1f ms", "added %4.1f", 1},
	{loadtest.LateShare(100), "late %5.2f %%", "late %.2f %%", 100},
	{loadtest.ConnectP95, "connect p95 %6.0f ms", "", 1},
}

// stepLine has the figures of a step that were measured.
func stepLine(s measure.Step) string {
	return fmt.Sprintf("%-5s  %-34s %s", s.Verdict, s.Name, figures(s, func(f shown) string { return f.long }))
}

// shortLine is stepLine for a terminal of 80 columns.
func shortLine(s measure.Step) string {
	return fmt.Sprintf("%-5s  %-28s %s", s.Verdict, s.Name, figures(s, func(f shown) string { return f.short }))
}

func figures(s measure.Step, format func(shown) string) string {
	var list []string
	for _, f := range shownFigures {
		v, known := s.Figures[f.metric]
		if known && format(f) != "" && !(s.Direct && f.metric == loadtest.ConnectP95) {
			list = append(list, fmt.Sprintf(format(f), v*f.times))
		}
	}
	return strings.Join(list, ", ")
}

func failures(causes map[string]int) string {
	var list []string
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		list = append(list, fmt.Sprintf("%d x %s", causes[cause], cause))
	}
	return strings.Join(list, "  ")
}
