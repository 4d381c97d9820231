package diagnosis

import (
	"io"
	"strings"

	"github.com/turngate/turngate/internal/junit"
)

// WriteJUnit writes the stages as test cases, for a CI system. The findings stand in the failure of the
// stage that failed; reservations about a path that works are the suite's output and fail nothing.
func WriteJUnit(w io.Writer, r Report, findings []Finding) error {
	suite := junit.Suite{Name: "turngate check", Timestamp: junit.Timestamp(r.Started)}
	suite.Properties = junit.Properties{{Name: "proxy", Value: r.Proxy}, {Name: "target", Value: r.Target}, {Name: "verdict", Value: r.Verdict()}}
	for _, f := range findings {
		suite.Properties = append(suite.Properties, junit.Property{Name: "finding", Value: f.Code})
	}
	sum := 0.0
	for _, s := range r.Stages {
		suite.Cases = append(suite.Cases, s.junit(r.Proxy, findings))
		sum += s.Milliseconds
	}
	suite.Time = junit.Seconds(sum / 1000)
	if _, failed := r.Failure(); !failed {
		suite.Output = textOf(findings)
	}
	return junit.Write(w, suite)
}

func (s Stage) junit(proxy string, findings []Finding) junit.Case {
	c := junit.Case{Class: "turngate.check." + strings.ReplaceAll(proxy, ".", "_"), Name: s.Name, Time: junit.Seconds(s.Milliseconds / 1000), Output: s.Detail}
	switch s.Outcome {
	case Failed:
		c.Failure = &junit.Message{Type: "none", Message: s.Error, Text: textOf(findings)}
		if len(findings) > 0 {
			c.Failure.Type = findings[0].Code
		}
	case Skipped, NotReached:
		c.Skipped = &junit.Message{Message: strings.TrimPrefix(string(s.Outcome)+": "+s.Detail, "skipped: ")}
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
