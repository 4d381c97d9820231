package report

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/turngate/turngate/harness/measure"
)

// A FailIf is what must not be found: "added_p99>+10%" fails if B's figure is more than a tenth
// above A's, "capacity<-5" if it is more than 5 below.
type FailIf struct {
	text     string
	name     string
	above    bool
	by       float64 // with its sign
	relative bool    // in percent of A
}

var conditionSyntax = regexp.MustCompile(`^\s*([a-z][a-z0-9_.]*)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*(%?)\s*$`)

// ParseFailIf reads one: METRIC>+N% or METRIC<-N%, without % in the metric's own unit. The metric
// may be without its "_ms" or "_share".
func ParseFailIf(s string) (FailIf, error) {
	m := conditionSyntax.FindStringSubmatch(s)
	if m == nil {
		return FailIf{}, fmt.Errorf("%q: want METRIC>+N%% or METRIC<-N%%, as in added_p99>+10%%; without %% the number is in the metric's own unit", s)
	}
	by, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return FailIf{}, fmt.Errorf("%q: %w", s, err)
	}
	return FailIf{text: s, name: m[1], above: m[2] == ">", by: by, relative: m[4] == "%"}, nil
}

// metric is the full name of what the condition is about: the one that some step has.
func (c FailIf) metric(sides ...[]measure.Record) string {
	candidates := []string{c.name, c.name + "_ms", c.name + "_share"}
	for _, side := range sides {
		for _, r := range side {
			for _, s := range r.Steps {
				for _, name := range candidates {
					if _, known := s.Figures[name]; known {
						return name
					}
				}
			}
		}
	}
	for _, name := range candidates {
		if slices.Contains(comparable, name) {
			return name
		}
	}
	return c.name
}

// broken tells whether the medians are as they must not be.
func (c FailIf) broken(row Compared) bool {
	relative, change, known := row.Change()
	if c.relative {
		if change = 100 * relative; !known { // something against nothing is more than any percentage
			return c.above
		}
	}
	if c.above {
		return change > c.by
	}
	return change < c.by
}

// judge looks for the condition in all steps through the proxy. A difference that is within the spread
// of the repeats is none that can be judged.
func (c *Comparison) judge(cond FailIf) {
	name, seen := cond.metric(c.A, c.B), false
	for _, row := range c.Rows {
		if row.Metric != name || len(row.Step) >= 6 && row.Step[:6] == "direct" {
			continue
		}
		seen = true
		if !cond.broken(row) {
			continue
		}
		if row.Apart() {
			c.Verdict = measure.Fail
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s: %s %s; %s", cond.text, row.Step, row.sides(), row.spread()))
			continue
		}
		c.void(fmt.Sprintf("%s: %s %s, but the two overlap: the difference is within the spread; measure more often", cond.text, row.Step, row.sides()))
	}
	if !seen {
		c.void(fmt.Sprintf("%s: the two sides have no such figure in common", cond.text))
	}
}

func (c *Comparison) void(reason string) {
	if c.Verdict != measure.Fail {
		c.Verdict = measure.Void
	}
	c.Reasons = append(c.Reasons, reason)
}
