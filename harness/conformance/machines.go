package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML, as far as CI systems read them.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit XML. A SHOULD that fails is a skipped case, as what is not offered: a run
// of CI does not fail by it.
func JUnit(w io.Writer, r Report) error {
	suite := junitSuite{
		Name: "turngate conformance, " + r.Address, Tests: len(r.Results), Failures: len(r.Violations()),
		Skipped: len(r.Results) - r.Count(Pass) - len(r.Violations()),
		Time:    fmt.Sprintf("%.3f", r.Seconds), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, res := range r.Results {
		suite.Cases = append(suite.Cases, caseOf(res))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func caseOf(res Result) junitCase {
	c := junitCase{Class: "turngate.conformance", Name: res.ID, Time: fmt.Sprintf("%.3f", res.Seconds)}
	switch {
	case res.Outcome == Pass:
	case res.Outcome == Fail && res.Level == Must:
		text := fmt.Sprintf("%s %s: %s\n%s", res.Level, res.Section, res.Text, strings.Join(res.Trace, "\n"))
		c.Failure = &junitMessage{Message: res.Reason, Text: text}
	default:
		c.Skipped = &junitMessage{Message: fmt.Sprintf("%s (%s): %s", res.Outcome, res.Level, res.Reason)}
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
