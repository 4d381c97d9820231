package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/turngate/turngate/internal/junit"
)

// JSON writes the run as one indented JSON document.
func JSON(w io.Writer, r Run) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// JUnit writes the run as JUnit XML: a test case per cell, void as an error, figures as properties.
func JUnit(w io.Writer, r Run) error {
	suite := junit.Suite{Name: "turngate matrix, " + r.Lab, Time: junit.Seconds(r.Seconds), Timestamp: junit.Timestamp(r.Started)}
	for _, c := range r.Cells {
		suite.Cases = append(suite.Cases, testCase(c))
	}
	return junit.Write(w, suite)
}

func testCase(c Cell) junit.Case {
	tc := junit.Case{Class: "turngate.matrix", Name: c.Name, Time: junit.Seconds(c.Seconds), Properties: properties(c)}
	message := &junit.Message{Message: ends(c), Text: words(c)}
	switch c.Outcome {
	case Fail:
		tc.Failure = message
	case Void:
		tc.Error = message
	case Skip:
		tc.Skipped = &junit.Message{Message: c.Detail}
	}
	return tc
}

// ends says how the cell was to end and how it did.
func ends(c Cell) string {
	if c.Got == "" {
		return "expected " + c.Expected
	}
	return "expected " + c.Expected + ", got " + c.Got
}

// words are everything said about what went wrong with a cell.
func words(c Cell) string {
	lines := []string{c.Detail}
	for _, check := range c.Checks {
		if !check.OK {
			lines = append(lines, check.Name+": "+check.Found)
		}
	}
	if c.Hint != "" {
		lines = append(lines, "hint: "+c.Hint)
	}
	return strings.Join(lines, "\n")
}

func properties(c Cell) (list junit.Properties) {
	add := func(name string, v any) { list = append(list, junit.Property{Name: name, Value: fmt.Sprint(v)}) }
	if t := c.Tunnel; t != nil {
		add("mechanism", t.Mechanism)
		add("connect_legs", t.Legs)
		for _, phase := range t.Phases {
			add(phase.Name+"_ms", phase.Milliseconds)
		}
	}
	if f := c.Figures; f != nil {
		add("rtt_p50_ms", f.RTT.P50)
		add("rtt_p99_ms", f.RTT.P99)
		add("up_mbps", f.UpMbps)
		add("down_mbps", f.DownMbps)
	}
	return list
}

// Markdown writes a summary for a CI system's page: the verdict first, what went wrong next, the
// table folded away.
func Markdown(w io.Writer, r Run) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### turngate matrix: %s\n\n%s\n", r.Verdict, escapeMarkdown(Headline(r)))
	for _, c := range r.Cells {
		if c.Outcome != Pass {
			fmt.Fprintf(&b, "\n- **%s** `%s`: %s. %s", c.Outcome, c.Name, ends(c), escapeMarkdown(words(c)))
		}
	}
	b.WriteString("\n\n<details><summary>all cells</summary>\n\n")
	b.WriteString("| cell | outcome | legs | CONNECT ms | Allocate ms | RTT p50 ms | p99 ms | added ms | up Mbit/s | down Mbit/s |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Cells {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row(c), " | "))
	}
	b.WriteString("\n</details>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// escapeMarkdown keeps a peer's words from becoming markup.
func escapeMarkdown(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "\n", " ", "*", `\*`, "[", `\[`).Replace(s)
}
