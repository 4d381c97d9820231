// Package junit writes JUnit's XML, as far as CI systems read it.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"
)

// A Suite is one run. Write counts its cases.
type Suite struct {
	Name       string     `xml:"name,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Errors     int        `xml:"errors,attr"`
	Skipped    int        `xml:"skipped,attr"`
	Time       string     `xml:"time,attr"`      // see Seconds
	Timestamp  string     `xml:"timestamp,attr"` // see Timestamp
	Properties Properties `xml:"properties,omitempty"`
	Cases      []Case     `xml:"testcase"`
	Output     string     `xml:"system-out,omitempty"`
}

// A Case passed if it has neither Failure nor Error nor Skipped.
type Case struct {
	Class      string     `xml:"classname,attr"`
	Name       string     `xml:"name,attr"`
	Time       string     `xml:"time,attr"`
	Properties Properties `xml:"properties,omitempty"`
	Failure    *Message   `xml:"failure"`
	Error      *Message   `xml:"error"`
	Skipped    *Message   `xml:"skipped"`
	Output     string     `xml:"system-out,omitempty"`
}

// Properties are an element only if there are any.
type Properties []Property

// MarshalXML implements xml.Marshaler.
func (p Properties) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if len(p) == 0 {
		return nil
	}
	return e.EncodeElement(struct {
		List []Property `xml:"property"`
	}{p}, start)
}

// A Property is a figure or a fact.
type Property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// A Message says in a line why a case did not pass, and in Text all about it.
type Message struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Seconds is a duration as JUnit has it.
func Seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// Timestamp is a time as JUnit has it.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }

// Write writes a document of one suite.
func Write(w io.Writer, s Suite) error {
	s.count()
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	document := struct {
		XMLName xml.Name `xml:"testsuites"`
		Suite   Suite    `xml:"testsuite"`
	}{Suite: s}
	if err := e.Encode(document); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *Suite) count() {
	s.Tests, s.Failures, s.Errors, s.Skipped = len(s.Cases), 0, 0, 0
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}
