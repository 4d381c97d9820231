package diagnosis

import (
	"fmt"
	"io"
	"strings"
)

// Line is one line about a stage, for a terminal.
func (s Stage) Line() string {
	took := ""
	if s.Outcome == OK || s.Outcome == Failed {
		took = fmt.Sprintf("%.1f ms", s.Milliseconds)
	}
	text := s.Detail
	if s.Error != "" {
		text = shortened(s.Error)
	}
	return strings.TrimRight(wrapped(fmt.Sprintf("%-8s %-15s %10s  ", s.Outcome, s.Name, took), text), " \n")
}

const maxError = 150 // bytes of an error in a stage's line: the findings and --verbose have the rest

// shortened cuts a text between words.
func shortened(text string) string {
	if len(text) <= maxError {
		return text
	}
	cut := strings.LastIndexByte(text[:maxError], ' ')
	if cut < 0 {
		cut = maxError
	}
	return text[:cut] + " ..."
}

// Verdict is one line about the whole.
func (r *Report) Verdict() string {
	failure, failed := r.Failure()
	way := "through the proxy"
	if r.direct() {
		way = "without a proxy"
	}
	switch {
	case r.Interrupted:
		return "interrupted: not judged"
	case failed:
		return "fails at " + failure.Name
	case !r.Through() || r.Media == nil:
		return "not judged"
	case len(Explain(*r)) > 0:
		return fmt.Sprintf("works, with a reservation: datagrams come back %s, RTT p50 %.1f ms", way, r.Media.RTTp50)
	}
	return fmt.Sprintf("works: datagrams come back %s, RTT p50 %.1f ms", way, r.Media.RTTp50)
}

// WriteDirect writes the line about the way without the proxy.
func WriteDirect(w io.Writer, d *Direct) {
	if d == nil {
		return
	}
	reached := "as far as " + d.Reached
	switch d.Reached {
	case "STUN":
		reached = "the TURN server answers"
	case "nothing":
		reached = "not reached"
	}
	fmt.Fprintf(w, "%-8s %-15s %7.1f ms  %s\n", "beside", "without proxy", d.Milliseconds, reached)
}

// maxShown is how many findings the text has; the document has all.
const maxShown = 3

// WriteFindings writes the verdict and the first findings: the fact, the cause, what to do.
func WriteFindings(w io.Writer, r *Report, findings []Finding) {
	verdict := r.Verdict()
	if len(findings) > 0 {
		verdict += " (" + findings[0].Code + ")"
	}
	fmt.Fprintf(w, "\nverdict: %s\n", verdict)
	for i, f := range findings {
		if i == maxShown {
			break
		}
		fmt.Fprintln(w)
		f.write(w)
	}
	if more := len(findings) - maxShown; more > 0 {
		fmt.Fprintf(w, "\n%d more in --json\n", more)
	}
}

func (f Finding) write(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)\n", f.Code, f.Confidence)
	for _, line := range []struct{ label, text string }{{"fact", f.Fact}, {"cause", f.Cause}, {"log", f.Log}, {"hint", f.Action}} {
		if line.text != "" {
			fmt.Fprint(w, wrapped(fmt.Sprintf("  %-7s", line.label+":"), line.text))
		}
	}
}

const width = 100 // columns of a terminal

// wrapped breaks a text between words. The lines after the first are indented as far as the label is
// long.
func wrapped(label, text string) string {
	var b strings.Builder
	b.WriteString(label)
	column := len(label)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", len(label)))
			column = len(label)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteString("\n")
	return b.String()
}
