package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the table for a terminal, then what went wrong, then the verdict.
func Text(w io.Writer, r Run) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CELL\tOUTCOME\tLEGS\tCONNECT\tALLOCATE\tRTT p50\tp99\tADDED\tUP\tDOWN")
	fmt.Fprintln(table, "\t\t\tms\tms\tms\tms\tms\tMbit/s\tMbit/s")
	for _, c := range r.Cells {
		fmt.Fprintln(table, strings.Join(row(c), "\t"))
	}
	table.Flush()
	writeTroubles(&b, r)
	fmt.Fprintf(&b, "\n%s\n", Headline(r))
	_, err := io.WriteString(w, trimLines(b.String()))
	return err
}

// trimLines removes the blanks that tabwriter leaves at the ends of lines.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func row(c Cell) []string {
	fields := []string{c.Name, outcomeText(c), "", "", "", "", "", "", "", ""}
	if t := c.Tunnel; t != nil {
		fields[2] = fmt.Sprint(t.Legs)
		fields[3] = phase(t, "connect", "authenticate")
		fields[4] = phase(t, "allocate")
	}
	if f := c.Figures; f != nil {
		fields[5], fields[6] = ms(f.RTT.P50), ms(f.RTT.P99)
		fields[8], fields[9] = fmt.Sprintf("%.0f", f.UpMbps), fmt.Sprintf("%.0f", f.DownMbps)
	}
	if c.Beside != nil {
		fields[7] = fmt.Sprintf("%+.2f", c.Beside.RTTAdded)
	}
	return fields
}

// outcomeText says of a declared failure that passed which one it was.
func outcomeText(c Cell) string {
	if c.Outcome == Pass && c.Expected != Through {
		return "pass (" + c.Expected + ")"
	}
	return string(c.Outcome)
}

// Through is what a cell is expected to be unless it declares a failure.
const Through = "through"

func phase(t *Tunnel, names ...string) string {
	sum, seen := 0.0, false
	for _, p := range t.Phases {
		for _, name := range names {
			if p.Name == name {
				sum, seen = sum+p.Milliseconds, true
			}
		}
	}
	if !seen {
		return ""
	}
	return ms(sum)
}

func ms(v float64) string { return fmt.Sprintf("%.2f", v) }

func writeTroubles(b *strings.Builder, r Run) {
	for _, c := range r.Cells {
		if c.Outcome == Pass {
			continue
		}
		fmt.Fprintf(b, "\n%s %s: %s\n", strings.ToUpper(string(c.Outcome)), c.Name, ends(c))
		if c.Detail != "" {
			fmt.Fprintf(b, "  %s\n", c.Detail)
		}
		for _, check := range c.Checks {
			if !check.OK {
				fmt.Fprintf(b, "  %s: %s\n", check.Name, check.Found)
			}
		}
		if c.Hint != "" {
			fmt.Fprintf(b, "  hint: %s\n", c.Hint)
		}
	}
}

// Headline is the verdict in one line.
func Headline(r Run) string {
	n := r.Counts()
	s := fmt.Sprintf("%s: %d of %d cells passed in %.1f s", strings.ToUpper(string(r.Verdict)), n[Pass], len(r.Cells), r.Seconds)
	for _, o := range []Outcome{Fail, Void, Skip} {
		if n[o] > 0 {
			s += fmt.Sprintf(", %d %s", n[o], o)
		}
	}
	if r.Reason != "" {
		s += " (" + r.Reason + ")"
	}
	return s + ". " + r.Condition.line()
}

func (c Condition) line() string {
	return fmt.Sprintf("%s, %d CPUs, load average %.1f at the start, %s of measuring per cell; %s.", c.OS, c.CPUs, c.Load, c.Duration, c.Note)
}
