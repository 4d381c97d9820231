package diagnosis

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type (
	junitSuite struct {
		XMLName  xml.Name        `xml:"testsuite"`
		Name     string          `xml:"name,attr"`
		Tests    int             `xml:"tests,attr"`
		Failures int             `xml:"failures,attr"`
		Skipped  int             `xml:"skipped,attr"`
		Time     string          `xml:"time,attr"`
		Started  string          `xml:"timestamp,attr"`
		Facts    []junitProperty `xml:"properties>property"`
		Cases    []junitCase     `xml:"testcase"`
		Output   string          `xml:"system-out,omitempty"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"` // code of the first finding
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes the stages as test cases, for a CI system. The findings stand in the failure of the
// stage that failed; reservations about a path that works are the suite's output and fail nothing.
func WriteJUnit(w io.Writer, r Report, findings []Finding) error {
	suite := junitSuite{Name: "turngate check", Started: r.Started.UTC().Format("2006-01-02T15:04:05")}
	suite.Facts = []junitProperty{{"proxy", r.Proxy}, {"target", r.Target}, {"verdict", r.Verdict()}}
	for _, f := range findings {
		suite.Facts = append(suite.Facts, junitProperty{"finding", f.Code})
	}
	sum := 0.0
	for _, s := range r.Stages {
		c := s.junit(r.Proxy, findings)
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
		sum += s.Milliseconds
	}
	suite.Time = seconds(sum)
	if _, failed := r.Failure(); !failed {
		suite.Output = textOf(findings)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s Stage) junit(proxy string, findings []Finding) junitCase {
	c := junitCase{Class: "turngate.check." + strings.ReplaceAll(proxy, ".", "_"), Name: s.Name, Time: seconds(s.Milliseconds), Output: s.Detail}
	switch s.Outcome {
	case Failed:
		c.Failure = &junitFailure{Type: "none", Message: s.Error, Text: textOf(findings)}
		if len(findings) > 0 {
			c.Failure.Type = findings[0].Code
		}
	case Skipped, NotReached:
		c.Skipped = &junitSkipped{strings.TrimPrefix(string(s.Outcome)+": "+s.Detail, "skipped: ")}
		c.Output = ""
	}
	return c
}

func textOf(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		f.write(&b)
	}
	return b.String()
}

func seconds(ms float64) string { return fmt.Sprintf("%.3f", ms/1000) }
