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

// StepDone prints a step's line.
func (l Lines) StepDone(s measure.Step) { fmt.Fprintln(l.W, stepLine(s)) }

func stepLine(s measure.Step) string {
	line := fmt.Sprintf("%-5s  %-34s delay p95 %7.1f ms", s.Verdict, s.Name, s.Figures[loadtest.DelayP95])
	if added, known := s.Figures[loadtest.AddedP95]; known {
		line += fmt.Sprintf(", added %6.1f ms", added)
	}
	line += fmt.Sprintf(", late %5.2f %%", 100*s.Figures[loadtest.LateShare(100)])
	if connect, known := s.Figures[loadtest.ConnectP95]; known && !s.Direct {
		line += fmt.Sprintf(", connect p95 %6.0f ms", connect)
	}
	return line
}

func failures(causes map[string]int) string {
	var list []string
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		list = append(list, fmt.Sprintf("%d x %s", causes[cause], cause))
	}
	return strings.Join(list, "  ")
}
