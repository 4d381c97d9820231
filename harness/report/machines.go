package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// JSON writes the run as one indented JSON document.
func JSON(w io.Writer, r Run) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// The elements of JUnit's XML, as far as CI systems read them.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string          `xml:"name,attr"`
		Tests     int             `xml:"tests,attr"`
		Failures  int             `xml:"failures,attr"`
		Errors    int             `xml:"errors,attr"`
		Skipped   int             `xml:"skipped,attr"`
		Time      string          `xml:"time,attr"`
		Timestamp string          `xml:"timestamp,attr"`
		Cases     []junitTestCase `xml:"testcase"`
	}
	junitTestCase struct {
		Class      string           `xml:"classname,attr"`
		Name       string           `xml:"name,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Failure    *junitMessage    `xml:"failure"`
		Error      *junitMessage    `xml:"error"`
		Skipped    *junitMessage    `xml:"skipped"`
	}
	junitProperties struct {
		List []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the run as JUnit XML: a test case per cell, void as an error, figures as properties.
func JUnit(w io.Writer, r Run) error {
	n := r.Counts()
	suite := junitSuite{
		Name: "turngate matrix, " + r.Lab, Tests: len(r.Cells), Failures: n[Fail], Errors: n[Void], Skipped: n[Skip],
		Time: fmt.Sprintf("%.3f", r.Seconds), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, c := range r.Cells {
		suite.Cases = append(suite.Cases, testCase(c))
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

func testCase(c Cell) junitTestCase {
	tc := junitTestCase{Class: "turngate.matrix", Name: c.Name, Time: fmt.Sprintf("%.3f", c.Seconds), Properties: properties(c)}
	message := &junitMessage{Message: ends(c), Text: words(c)}
	switch c.Outcome {
	case Fail:
		tc.Failure = message
	case Void:
		tc.Error = message
	case Skip:
		tc.Skipped = &junitMessage{Message: c.Detail}
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

func properties(c Cell) *junitProperties {
	var p junitProperties
	add := func(name string, v any) { p.List = append(p.List, junitProperty{name, fmt.Sprint(v)}) }
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
	if len(p.List) == 0 {
		return nil
	}
	return &p
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
