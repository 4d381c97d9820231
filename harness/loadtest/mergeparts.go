package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// A part is a piece whose place among the calls is known.
type part struct {
	Piece
	share loadgen.Part
	steps []measure.Step // without a baseline that was tried again
}

func (p part) name() string { return "part " + p.share.String() }

// after is how many seconds the part began after a moment.
func (p part) after(t time.Time) float64 { return p.Record.Started.Sub(t).Seconds() }

// conditions are those of the part's host in words.
func (p part) conditions() string {
	c := p.Record.Conditions
	return fmt.Sprintf("%s turngate %s, %s, %d x %s, load average %.1f, by %s", p.name(), c.Version, c.OS, c.CPUs, cmp.Or(c.CPU, "CPU"), c.Load, cmp.Or(p.Record.Path.Proxy, "no proxy"))
}

// arrange puts the pieces into the order of their parts, if they are those of one run.
func arrange(pieces []Piece) ([]part, error) {
	if len(pieces) == 0 {
		return nil, errors.New("there is nothing to merge")
	}
	var parts []part
	for _, p := range pieces {
		if p.Record.Part == "" {
			return nil, fmt.Errorf("%s: part: there is none; it wants a record of turngate load --part", p.File)
		}
		share, err := loadgen.ParsePart(p.Record.Part)
		if err != nil {
			return nil, fmt.Errorf("%s: part: %w", p.File, err)
		}
		parts = append(parts, part{p, share, settled(p.Record.Steps)})
	}
	if err := distinct(parts); err != nil {
		return nil, err
	}
	like := longest(parts)
	for _, p := range parts {
		if err := p.sameRun(like); err != nil {
			return nil, fmt.Errorf("%s: %w", p.File, err)
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.share.From, b.share.From) })
	return parts, nil
}

// settled leaves out a baseline that was tried again, and gives the second one its name.
func settled(steps []measure.Step) (list []measure.Step) {
	for _, s := range steps {
		name, second := strings.CutSuffix(s.Name, again)
		if second && len(list) > 0 && list[len(list)-1].Name == name {
			list = list[:len(list)-1]
			s.Name = name
		}
		list = append(list, s)
	}
	return list
}

// distinct says which calls two of them have.
func distinct(parts []part) error {
	holders := make(map[int]part)
	for _, p := range parts {
		if first := parts[0]; p.share.Of != first.share.Of {
			return fmt.Errorf("%s: part: %v, and %v in %s: want parts of as many", p.File, p.share, first.share, first.File)
		}
		for i := p.share.From; i < p.share.To; i++ {
			if other, taken := holders[i]; taken {
				return fmt.Errorf("%s: part: %v, and %s has %v", p.File, p.share, other.File, other.share)
			}
			holders[i] = p
		}
	}
	return nil
}

// missingParts names the shares of the calls that none has.
func missingParts(parts []part) (missing []string) {
	of := parts[0].share.Of
	for i := range of {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.share.From <= i && i < p.share.To }) {
			missing = append(missing, "part "+loadgen.Part{From: i, To: i + 1, Of: of}.String()+" is missing")
		}
	}
	return missing
}

// longest is the part with the most steps.
func longest(parts []part) part {
	return slices.MaxFunc(parts, func(a, b part) int { return cmp.Compare(len(a.steps), len(b.steps)) })
}

// sameRun says in which field a part is of another run.
func (p part) sameRun(like part) error {
	a, b := p.Record, like.Record
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"command", a.Command, "load"},
		{"seed", a.Seed, b.Seed},
		{"profile.name", a.Profile.Name, b.Profile.Name},
		{"profile.streams", a.Profile.Streams, b.Profile.Streams},
		{"path.delay", a.Path.Direction, b.Path.Direction},
	} {
		if !reflect.DeepEqual(f.got, f.want) {
			return fmt.Errorf("%s: %v, and %v in %s", f.name, f.got, f.want, like.File)
		}
	}
	if i := firstDifference(unjudged(a.Objectives), unjudged(b.Objectives)); i >= 0 {
		return fmt.Errorf("objectives: %s, and %s in %s", limit(a.Objectives, i), limit(b.Objectives, i), like.File)
	}
	return p.sameSteps(like)
}

// sameSteps says which step is another. A part that was interrupted, or ended at a failure, has fewer.
func (p part) sameSteps(like part) error {
	early := p.Record.Partial || len(p.steps) > 0 && p.steps[len(p.steps)-1].Verdict == measure.Fail
	if len(p.steps) == 0 || len(p.steps) < len(like.steps) && !early {
		return fmt.Errorf("steps: %d, and %d in %s", len(p.steps), len(like.steps), like.File)
	}
	for i, s := range p.steps {
		o := like.steps[i]
		whole := !p.Record.Partial && !like.Record.Partial
		if s.Name != o.Name || s.Kind != o.Kind || s.Direct != o.Direct || len(s.Streams) != len(o.Streams) || whole && s.Seconds != o.Seconds {
			return fmt.Errorf("steps[%d]: %q (%s, %.4g s), and %q (%s, %.4g s) in %s", i, s.Name, s.Kind, s.Seconds, o.Name, o.Kind, o.Seconds, like.File)
		}
	}
	return nil
}

// unjudged are the objectives without how they were kept.
func unjudged(list []measure.Objective) []measure.Objective {
	list = slices.Clone(list)
	for i := range list {
		list[i].Got, list[i].Verdict, list[i].Measured = 0, "", false
	}
	return list
}

func firstDifference(a, b []measure.Objective) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

func limit(list []measure.Objective, i int) string {
	if i >= len(list) {
		return "none more"
	}
	than := "at least"
	if list[i].Max {
		than = "at most"
	}
	return fmt.Sprintf("%s %s %s", list[i].Metric, than, number(list[i].Metric, list[i].Limit))
}
