package loadtest

import (
	"fmt"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// judge says whether a step kept the objectives, in its Figures, Verdict and Reasons. A step that the
// generator has found void stays void: what it shows is the generator. But a proxy that says no says so
// to a late generator as well. One that is direct is a
// baseline, and judged by nothing but that. With a void baseline a step can fail, but not pass.
func judge(s, baseline *measure.Step, objectives []measure.Objective) {
	incomparable := baseline != nil && baseline.Verdict == measure.Void
	if incomparable {
		s.Figures = figures(s, nil)
	} else {
		s.Figures = figures(s, baseline)
	}
	if s.Verdict == measure.Void {
		if why := refusals(s, objectives); why != "" {
			s.Verdict, s.Reasons = measure.Fail, append([]string{why}, s.Reasons...)
		}
		return
	}
	s.Verdict, s.Reasons = measure.Pass, nil
	if s.Direct {
		return
	}
	for _, o := range objectives {
		if got, known := s.Figures[o.Metric]; known && broken(o, got) {
			s.Verdict = measure.Fail
			s.Reasons = append(s.Reasons, reason(o, got))
		}
	}
	if incomparable && s.Verdict == measure.Pass {
		s.Verdict = measure.Void
		s.Reasons = []string{"the direct baseline is void, so that nobody knows what the proxy adds"}
	}
}

// refusals says what is wrong if what the proxy has refused is too much by itself.
func refusals(s *measure.Step, objectives []measure.Objective) string {
	due := s.Tunnels.Wanted + s.Tunnels.Unreplaced
	if s.Direct || s.Tunnels.Refused == 0 || due == 0 {
		return ""
	}
	for _, o := range objectives {
		if got := 1 - float64(s.Tunnels.Refused)/float64(due); o.Metric == OpenedShare && broken(o, got) {
			return fmt.Sprintf("%s, by the proxy's own answers", reason(o, got))
		}
	}
	return ""
}

func broken(o measure.Objective, got float64) bool {
	if o.Max {
		return got > o.Limit
	}
	return got < o.Limit
}

func reason(o measure.Objective, got float64) string {
	than := "at least"
	if o.Max {
		than = "at most"
	}
	text := fmt.Sprintf("%s is %s, want %s %s", o.Metric, number(o.Metric, got), than, number(o.Metric, o.Limit))
	if o.Source != "" {
		text += " (" + o.Source + ")"
	}
	return text
}

// number prints a figure with its unit.
func number(metric string, v float64) string {
	switch {
	case strings.HasSuffix(metric, "_ms"):
		return fmt.Sprintf("%.1f ms", v)
	case strings.HasSuffix(metric, "_share"):
		return fmt.Sprintf("%.2f %%", 100*v)
	}
	return fmt.Sprintf("%.4g", v)
}

// overall fills in the record's objectives from the steps that they apply to, and its verdict: void if
// no step could be judged, fail if one failed. Steps of a search fail on purpose and do not count.
func overall(r *measure.Record) {
	r.Verdict, r.Reasons = measure.Void, nil
	judged, void := 0, 0
	for i := range r.Objectives {
		r.Objectives[i].Measured = false
	}
	for _, s := range r.Steps {
		if s.Direct || s.Kind == "search" || s.Kind == "model" {
			continue
		}
		if s.Verdict == measure.Void {
			void++
			r.Reasons = append(r.Reasons, prefixed(s.Name, s.Reasons)...)
			continue
		}
		judged++
		for i := range r.Objectives {
			apply(&r.Objectives[i], s.Figures)
		}
	}
	if judged == 0 {
		if void == 0 {
			r.Reasons = append(r.Reasons, "nothing was measured through the proxy")
		}
		return
	}
	if void == 0 && !r.Partial {
		r.Verdict = measure.Pass
	}
	for _, o := range r.Objectives {
		if o.Measured && o.Verdict == measure.Fail {
			r.Verdict = measure.Fail
			r.Reasons = append(r.Reasons, reason(o, o.Got))
		}
	}
}

// apply takes a step's figure into an objective, the worst one of all steps.
func apply(o *measure.Objective, figures map[string]float64) {
	got, known := figures[o.Metric]
	if !known {
		return
	}
	if !o.Measured || o.Max && got > o.Got || !o.Max && got < o.Got {
		o.Got = got
	}
	o.Measured, o.Verdict = true, measure.Pass
	if broken(*o, o.Got) {
		o.Verdict = measure.Fail
	}
}

func prefixed(name string, reasons []string) (all []string) {
	if len(reasons) == 0 {
		return []string{name + ": void"}
	}
	for _, r := range reasons {
		all = append(all, name+": "+r)
	}
	return all
}
