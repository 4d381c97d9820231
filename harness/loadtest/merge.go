package loadtest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// A Piece is what one host has measured of a run, and the file that it stands in.
type Piece struct {
	File   string
	Record measure.Record
}

// atOnce is the least share of a step's time in which all parts must have measured: what the proxy
// carried otherwise was never the load of all of them.
const atOnce = 0.9

// Merge makes one record of those that hosts with a Part each have made of a run: steps as loadgen.Merge
// does, judged anew. Steps of which a part is missing, or whose parts were not measured at the same time
// by the hosts' clocks, are void. It fails, with the file and the field, if the records are not of one run.
func Merge(pieces []Piece) (measure.Record, error) {
	parts, err := arrange(pieces)
	if err != nil {
		return measure.Record{}, err
	}
	first := parts[0]
	m := merger{parts: parts, started: first.Record.Started}
	for _, p := range parts {
		if p.Record.Started.Before(m.started) {
			m.started = p.Record.Started
		}
	}
	r := measure.Record{
		Format: 1, Command: "load", Seed: first.Record.Seed, Started: m.started, Conditions: first.Record.Conditions, Path: first.Record.Path,
		Profile: first.Record.Profile, Objectives: unjudged(first.Record.Objectives), Steps: []measure.Step{},
	}
	r.Rows = m.rows()
	if err := m.steps(&r); err != nil {
		return r, err
	}
	m.beside(&r)
	overall(&r)
	for _, p := range parts {
		if p.Record.Partial {
			r.Reasons = append(r.Reasons, p.name()+" was interrupted")
		}
	}
	return r, nil
}

// A merger joins the parts of a run, in their order.
type merger struct {
	parts   []part
	started time.Time // the first of them
}

// steps merges and judges them one after the other.
func (m *merger) steps(r *measure.Record) error {
	var baseline *measure.Step
	for i := range longest(m.parts).steps {
		s, err := m.step(i)
		if err != nil {
			return err
		}
		judge(&s, baseline, r.Objectives)
		summarise(&s, r.Rows)
		m.pages(&s, i)
		excuse(&s, r.Objectives, r.Conditions.CPUs)
		r.Steps = append(r.Steps, s)
		if s.Direct {
			baseline = &s
		}
	}
	return nil
}

func (m *merger) step(i int) (measure.Step, error) {
	missing := missingParts(m.parts)
	var steps []measure.Step
	covered := 0
	for _, p := range m.parts {
		if i >= len(p.steps) {
			missing = append(missing, p.name()+" ended before it")
			continue
		}
		s := p.steps[i]
		s.Start += p.after(m.started)
		if s.Verdict == measure.Void {
			s.Reasons = prefixed(p.name(), s.Reasons)
		}
		steps = append(steps, s)
		covered += p.share.To - p.share.From
	}
	s, err := loadgen.Merge(steps)
	if err != nil {
		return s, err
	}
	if len(missing) > 0 {
		s.Verdict, s.Generator.Coverage = measure.Void, float64(covered)/float64(m.parts[0].share.Of)
		s.Reasons = append(s.Reasons, missing...)
	}
	if share := together(steps); share < atOnce && !s.Direct {
		s.Verdict = measure.Void
		s.Reasons = append(s.Reasons, fmt.Sprintf("the parts were measured together for %.0f %% of the time, want %.0f %%: start the hosts at the same time, and have their clocks agree", 100*share, 100*atOnce))
	}
	return s, nil
}

// together is the share of the time in which all were measured.
func together(steps []measure.Step) float64 {
	begin, end, length := math.Inf(-1), math.Inf(1), 0.0
	for _, s := range steps {
		begin, end, length = max(begin, s.Start), min(end, s.Start+s.Seconds), max(length, s.Seconds)
	}
	if length == 0 {
		return 1
	}
	return max(0, end-begin) / length
}

// beside joins what stands beside the steps, each with the name of its part.
func (m *merger) beside(r *measure.Record) {
	var runs, notes []string
	for _, p := range m.parts {
		runs = append(runs, p.Record.Run)
		notes = append(notes, p.conditions())
		offset := p.after(m.started)
		r.Seconds, r.Partial = max(r.Seconds, offset+p.Record.Seconds), r.Partial || p.Record.Partial
		for _, u := range p.Record.Unknown {
			r.Unknown = append(r.Unknown, p.name()+": "+u)
		}
		for _, w := range p.Record.Warnings {
			r.Warnings = append(r.Warnings, p.name()+": "+w)
		}
	}
	r.Run = strings.Join(runs, "+")
	r.Conditions.Note = "merged, with the conditions of the first: " + strings.Join(notes, "; ")
}
