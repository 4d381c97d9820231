package conformance

import (
	"fmt"
	"io"
	"strings"

	"github.com/turngate/turngate/internal/junit"
)

// JUnit writes the report as JUnit XML. A SHOULD that fails is a skipped case, as what is not offered: a run
// of CI does not fail by it.
func JUnit(w io.Writer, r Report) error {
	suite := junit.Suite{Name: "turngate conformance, " + r.Address, Time: junit.Seconds(r.Seconds), Timestamp: junit.Timestamp(r.Started)}
	for _, res := range r.Results {
		suite.Cases = append(suite.Cases, caseOf(res))
	}
	return junit.Write(w, suite)
}

func caseOf(res Result) junit.Case {
	c := junit.Case{Class: "turngate.conformance", Name: res.ID, Time: junit.Seconds(res.Seconds)}
	switch {
	case res.Outcome == Pass:
	case res.Outcome == Fail && res.Level == Must:
		text := fmt.Sprintf("%s %s: %s\n%s", res.Level, res.Section, res.Text, strings.Join(res.Trace, "\n"))
		c.Failure = &junit.Message{Message: res.Reason, Text: text}
	default:
		c.Skipped = &junit.Message{Message: fmt.Sprintf("%s (%s): %s", res.Outcome, res.Level, res.Reason)}
	}
	return c
}

// Markdown writes a summary for a CI system's page: the verdict, what fails, and the table folded away.
func Markdown(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### turngate conformance: %s\n\n%s\n\n", r.Verdict, escape(r.Headline()))
	for _, res := range r.Results {
		if res.Outcome == Fail {
			fmt.Fprintf(&b, "- `%s` (%s, %s): %s\n", res.ID, res.Level, res.Section, escape(res.Reason))
		}
	}
	b.WriteString("\n<details><summary>all tests</summary>\n\n| test | level | section | what a server does | outcome |\n|---|---|---|---|---|\n")
	for _, res := range r.Results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", res.ID, res.Level, res.Section, escape(res.Text), res.Outcome)
	}
	b.WriteString("\n</details>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// escape keeps a server's words from becoming markup.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "\n", " ", "*", `\*`, "[", `\[`).Replace(s)
}
