package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/internal/junit"
)

// RecordJUnit writes a test case per objective and per step that was judged; void is an error, since
// nothing could be judged.
func RecordJUnit(w io.Writer, r measure.Record) error {
	suite := junit.Suite{Name: "turngate " + r.Command + ", " + r.Profile.Name, Time: junit.Seconds(r.Seconds), Timestamp: junit.Timestamp(r.Started)}
	for _, o := range r.Objectives {
		tc := junit.Case{Class: "turngate." + r.Command + ".objective", Name: o.Metric, Time: "0"}
		switch {
		case !o.Measured:
			tc.Skipped = &junit.Message{Message: "not measured"}
		case o.Verdict == measure.Fail:
			tc.Failure = &junit.Message{Message: fmt.Sprintf("%s is %s, want %s", o.Metric, figure(o.Metric, o.Got), want(o)), Text: o.Source}
		}
		suite.Cases = append(suite.Cases, tc)
	}
	for _, s := range r.Steps {
		if s.Kind == "search" || s.Kind == "model" {
			continue // these may fail
		}
		suite.Cases = append(suite.Cases, stepCase(r.Command, s))
	}
	return junit.Write(w, suite)
}

func stepCase(command string, s measure.Step) junit.Case {
	tc := junit.Case{Class: "turngate." + command + ".step", Name: s.Name, Time: junit.Seconds(s.Seconds)}
	message := &junit.Message{Message: strings.Join(s.Reasons, "; ")}
	switch s.Verdict {
	case measure.Fail:
		tc.Failure = message
	case measure.Void:
		tc.Error = message
	}
	return tc
}

// A CI system takes a summary of up to 1 MiB.
const (
	mostReasons = 50
	mostSteps   = 500
)

// RecordMarkdown writes a summary for a CI system's page.
func RecordMarkdown(w io.Writer, r measure.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### turngate %s: %s\n\n", r.Command, r.Verdict)
	if r.Size != nil {
		fmt.Fprintf(&b, "%s\n\n", escapeMarkdown(r.Size.Sentence))
	}
	for i, reason := range r.Reasons {
		if i == mostReasons {
			fmt.Fprintf(&b, "- and %d more\n", len(r.Reasons)-i)
			break
		}
		fmt.Fprintf(&b, "- %s\n", escapeMarkdown(reason))
	}
	b.WriteString("\n| objective | want | got | verdict |\n|---|--:|--:|---|\n")
	for _, o := range r.Objectives {
		got := "not measured"
		if o.Measured {
			got = figure(o.Metric, o.Got)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Metric, escapeMarkdown(want(o)), got, o.Verdict)
	}
	b.WriteString("\n<details><summary>all steps</summary>\n\n```\n")
	stepsText(&b, r, r.Steps[:min(mostSteps, len(r.Steps))])
	if len(r.Steps) > mostSteps {
		fmt.Fprintf(&b, "and %d more\n", len(r.Steps)-mostSteps)
	}
	fmt.Fprintf(&b, "```\n\n</details>\n\n%s\n", escapeMarkdown(conditionsText(r)))
	_, err := io.WriteString(w, b.String())
	return err
}

// RecordHLog writes all histograms as an HdrHistogram log of microseconds, tagged by step and stream,
// for the viewers that read such logs.
func RecordHLog(w io.Writer, r measure.Record) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	if err := log.OutputLogFormatVersion(); err != nil {
		return err
	}
	if err := log.OutputStartTime(r.Started.UnixMilli()); err != nil {
		return err
	}
	if err := log.OutputLegend(); err != nil {
		return err
	}
	for _, s := range r.Steps {
		begin := r.Started.Add(time.Duration(s.Start * float64(time.Second)))
		end := begin.Add(time.Duration(s.Seconds * float64(time.Second)))
		for _, t := range taggedOf(s) {
			if t.l == nil || t.l.Count() == 0 {
				continue
			}
			h := t.l.Clone().Histogram()
			h.SetTag(tag(s.Name + "." + t.name))
			h.SetStartTimeMs(begin.UnixMilli())
			h.SetEndTimeMs(end.UnixMilli())
			if err := log.OutputIntervalHistogram(h); err != nil {
				return err
			}
		}
	}
	return nil
}

type tagged struct {
	name string
	l    *measure.Latency
}

func taggedOf(s measure.Step) []tagged {
	list := []tagged{{"delay.up", s.Up.Delay}, {"delay.down", s.Down.Delay}, {"pacer", s.Generator.Lateness}}
	for i, q := range s.Streams {
		list = append(list, tagged{fmt.Sprintf("stream%d.%s.delay", i, q.Name), q.Delay}, tagged{fmt.Sprintf("stream%d.%s.jitter", i, q.Name), q.Jitter})
	}
	for _, p := range s.Setup {
		list = append(list, tagged{"setup." + p.Name, p.Took})
	}
	return list
}

// tag leaves out what separates fields in the log.
func tag(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == '\n' || r == '\r' {
			return '_'
		}
		return r
	}, s)
}
