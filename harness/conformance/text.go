package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the results for people: what does not pass, with what was sent and what came, then the verdict.
func Text(w io.Writer, r Report) error {
	var b strings.Builder
	for _, o := range []Outcome{Fail, Skipped, NotOffered} {
		writeOutcome(&b, r, o)
	}
	fmt.Fprintln(&b, r.Headline())
	_, err := io.WriteString(w, b.String())
	return err
}

func writeOutcome(b *strings.Builder, r Report, o Outcome) {
	if r.Count(o) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n", strings.ToUpper(string(o)))
	if o != Fail {
		table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		for _, res := range r.Results {
			if res.Outcome == o {
				fmt.Fprintf(table, "  %s\t%s\n", res.ID, res.Reason)
			}
		}
		table.Flush()
		b.WriteString("\n")
		return
	}
	for _, res := range r.Results {
		if res.Outcome == o {
			fmt.Fprintf(b, "  %s  %s, %s: %s\n    %s\n", res.ID, res.Level, res.Section, res.Text, res.Reason)
			for _, line := range res.Trace {
				fmt.Fprintf(b, "      %s\n", line)
			}
		}
	}
	b.WriteString("\n")
}

// Headline is the verdict in one line.
func (r *Report) Headline() string {
	s := fmt.Sprintf("%s: %s: %d pass, %d fail (%d of them a MUST), %d not offered, %d skipped, in %.1f s", r.Address, r.Verdict,
		r.Count(Pass), r.Count(Fail), len(r.Violations()), r.Count(NotOffered), r.Count(Skipped), r.Seconds)
	if r.Interrupted {
		s += " (interrupted)"
	}
	return s
}

// JSON writes the report as one indented document.
func JSON(w io.Writer, r Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
