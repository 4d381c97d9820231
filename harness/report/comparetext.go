package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print has the median of one side, and how far the values spread if there are several.
func (c Compared) print(values []float64) string {
	text := c.figure(median(values))
	if n := len(values); n > 1 {
		text += fmt.Sprintf(" (%s to %s, n=%d)", c.figure(values[0]), c.figure(values[n-1]), n)
	}
	return text
}

func (c Compared) figure(v float64) string {
	if c.Metric == "proxy_cores" {
		return fmt.Sprintf("%.3f", v)
	}
	return figure(c.Metric, v)
}

func (c Compared) change() string {
	relative, _, known := c.Change()
	if !known {
		return "from 0"
	}
	return fmt.Sprintf("%+.1f %%", 100*relative)
}

// sides says what each has and by how much they differ.
func (c Compared) sides() string {
	return fmt.Sprintf("has %s, then %s: %s", c.print(c.A), c.print(c.B), c.change())
}

// spread says how much the difference means.
func (c Compared) spread() string {
	switch {
	case len(c.A) == 1 && len(c.B) == 1:
		return "measured once each, so that the spread is not known, and of two equal runs one is always the worse"
	case !c.Apart():
		return "within the spread"
	}
	return fmt.Sprintf("beyond the spread: with no difference, so many values would lie apart like that by luck once in %d", c.Luck())
}

// short is spread for a table.
func (c Compared) short() string {
	switch {
	case len(c.A) == 1 && len(c.B) == 1:
		return "not known"
	case !c.Apart():
		return "within"
	}
	return fmt.Sprintf("beyond, luck 1:%d", c.Luck())
}

// CompareText writes a comparison for a terminal: the verdict first.
func CompareText(w io.Writer, c Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", strings.ToUpper(string(c.Verdict)))
	for _, r := range c.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	for _, u := range c.Unlike {
		fmt.Fprintf(&b, "not the same on both sides: %s\n", u)
	}
	if c.Void > 0 {
		fmt.Fprintf(&b, "%s left out: the generator was the bottleneck\n", plural(c.Void, "step"))
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSTEP\tFIGURE\tA\tB\tCHANGE\tSPREAD")
	for _, row := range c.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Step, row.Metric, row.print(row.A), row.print(row.B), row.change(), row.short())
	}
	t.Flush()
	fmt.Fprintf(&b, "\n%s\n", repeats(c))
	_, err := io.WriteString(w, trimLines(b.String()))
	return err
}

// CompareMarkdown writes it for a CI system's page.
func CompareMarkdown(w io.Writer, c Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### turngate report --compare: %s\n\n", c.Verdict)
	for _, r := range append(c.Reasons, c.Unlike...) {
		fmt.Fprintf(&b, "- %s\n", escapeMarkdown(r))
	}
	b.WriteString("\n| step | figure | A | B | change | spread |\n|---|---|--:|--:|--:|---|\n")
	for _, row := range c.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", escapeMarkdown(row.Step), row.Metric, row.print(row.A), row.print(row.B), row.change(), row.short())
	}
	fmt.Fprintf(&b, "\n%s\n", repeats(c))
	_, err := io.WriteString(w, b.String())
	return err
}

// repeats says what the number of runs is worth.
func repeats(c Comparison) string {
	runs := fmt.Sprintf("A is %s, B %s; medians are compared. ", plural(len(c.A), "run"), plural(len(c.B), "run"))
	switch {
	case !sameDelay(c.A, c.B):
		runs += "Delays are of one way here and RTT/2 there, so that neither they nor late loss and jitter are compared. "
	case len(c.A) > 0 && halved(c.A[0]):
		runs += "Delays are RTT/2; late loss and jitter are of both ways together. "
	}
	if len(c.A) < 3 || len(c.B) < 3 {
		return runs + "That is few: by three runs a side, taken in turn, the spread begins to show, and a difference without any cause would lie beyond it once in 20."
	}
	return runs + "“Beyond” means that every value of one side is above every value of the other."
}
