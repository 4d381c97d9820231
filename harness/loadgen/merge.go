package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// Merge makes one step of those that the parts of a run have measured at the same time. Counts and
// histograms add exactly. Where a step has only a percentile (of a window), the worst part's stands.
// It fails if the steps are of different loads.
func Merge(parts []measure.Step) (measure.Step, error) {
	if len(parts) == 0 {
		return measure.Step{}, errors.New("there is nothing to merge")
	}
	first := parts[0]
	m := measure.Step{
		Name: first.Name, Kind: first.Kind, Direct: first.Direct, Start: first.Start, Seconds: first.Seconds,
		Up: measure.Flow{Delay: measure.NewLatency()}, Down: measure.Flow{Delay: measure.NewLatency()},
		Tunnels:   measure.Tunnels{Life: measure.NewLatency()},
		Generator: measure.Generator{Lateness: measure.NewLatency(), Writing: measure.NewLatency(), Sent: 1, Coverage: 1},
	}
	var schedule uint64
	for _, p := range parts {
		if p.Name != m.Name || p.Kind != m.Kind || p.Direct != m.Direct || len(p.Streams) != len(first.Streams) {
			return m, fmt.Errorf("step %q of one part, %q of another: they are not of one run", m.Name, p.Name)
		}
		n, err := strconv.ParseUint(cmp.Or(p.Schedule, "0"), 16, 64)
		if err != nil {
			return m, fmt.Errorf("step %q: schedule: %w", p.Name, err)
		}
		schedule += n
		m.Calls += p.Calls
		m.Partial = m.Partial || p.Partial
		m.Start, m.Seconds = min(m.Start, p.Start), min(m.Seconds, p.Seconds)
		mergeFlow(&m.Up, p.Up)
		mergeFlow(&m.Down, p.Down)
		mergeTunnels(&m.Tunnels, p.Tunnels)
		mergeGenerator(&m.Generator, p.Generator)
		m.Streams = mergeStreams(m.Streams, p.Streams)
		m.Setup = mergePhases(m.Setup, p.Setup)
		m.Windows = mergeWindows(m.Windows, p.Windows)
		if p.Verdict == measure.Void {
			m.Verdict = measure.Void
			m.Reasons = append(m.Reasons, p.Reasons...)
		}
	}
	m.Schedule = fmt.Sprintf("%016x", schedule)
	return m, nil
}

// mergeFlow adds other to f.
func mergeFlow(f *measure.Flow, other measure.Flow) {
	f.Late = mergeShares(f.Late, f.Scheduled, other.Late, other.Scheduled)
	f.Scheduled, f.Sent, f.Received = f.Scheduled+other.Scheduled, f.Sent+other.Sent, f.Received+other.Received
	f.Mbps, f.PPS = f.Mbps+other.Mbps, f.PPS+other.PPS
	merge(f.Delay, other.Delay)
}

func merge(l, other *measure.Latency) {
	if other != nil {
		l.Merge(other)
	}
}

// mergeShares weights shares by what they are shares of.
func mergeShares(a []measure.Late, na int64, b []measure.Late, nb int64) []measure.Late {
	list := slices.Clone(a)
	for i, l := range b {
		if i == len(list) {
			list = append(list, measure.Late{Milliseconds: l.Milliseconds})
		}
		if na+nb > 0 {
			list[i].Share = (list[i].Share*float64(na) + l.Share*float64(nb)) / float64(na+nb)
		}
	}
	return list
}

func mergeStreams(list, other []measure.StreamQuality) []measure.StreamQuality {
	for i, q := range other {
		if i == len(list) {
			list = append(list, measure.StreamQuality{Name: q.Name, Up: q.Up, Delay: measure.NewLatency(), Jitter: measure.NewLatency()})
		}
		m := &list[i]
		m.Late = mergeShares(m.Late, m.Scheduled, q.Late, q.Scheduled)
		m.Scheduled, m.Stalls, m.Freezes = m.Scheduled+q.Scheduled, m.Stalls+q.Stalls, m.Freezes+q.Freezes
		merge(m.Delay, q.Delay)
		merge(m.Jitter, q.Jitter)
		estimate(m)
	}
	return list
}

func mergePhases(list, other []measure.Phase) []measure.Phase {
	for _, p := range other {
		i := slices.IndexFunc(list, func(q measure.Phase) bool { return q.Name == p.Name })
		if i < 0 {
			i = len(list)
			list = append(list, measure.Phase{Name: p.Name, Took: measure.NewLatency()})
		}
		merge(list[i].Took, p.Took)
	}
	return list
}

func mergeTunnels(t *measure.Tunnels, other measure.Tunnels) {
	t.Wanted, t.Opened, t.Lost = t.Wanted+other.Wanted, t.Opened+other.Opened, t.Lost+other.Lost
	t.Refused, t.Unreplaced = t.Refused+other.Refused, t.Unreplaced+other.Unreplaced
	merge(t.Life, other.Life)
	t.Longer = slices.Concat(t.Longer, other.Longer)
	t.Longer = t.Longer[:min(1000, len(t.Longer))]
	if t.Causes == nil {
		t.Causes = maps.Clone(other.Causes)
		return
	}
	for cause, n := range other.Causes {
		t.Causes[cause] += n
	}
}

// mergeGenerator adds what processes use, and keeps the worst of what they suffer.
func mergeGenerator(g *measure.Generator, other measure.Generator) {
	merge(g.Lateness, other.Lateness)
	merge(g.Writing, other.Writing)
	g.Sent, g.Coverage = min(g.Sent, other.Sent), min(g.Coverage, other.Coverage)
	g.CPU, g.RSS, g.FDs = g.CPU+other.CPU, g.RSS+other.RSS, max(g.FDs, other.FDs)
	if g.FDLimit == 0 || other.FDLimit < g.FDLimit {
		g.FDLimit = other.FDLimit
	}
	g.GCMax, g.GCShare = max(g.GCMax, other.GCMax), max(g.GCShare, other.GCShare)
	g.Processes += max(1, other.Processes)
}

// mergeWindows joins windows of the same time; parts that begin together have the same ones.
func mergeWindows(list, other []measure.Window) []measure.Window {
	for _, w := range other {
		i := slices.IndexFunc(list, func(v measure.Window) bool { return v.Start == w.Start })
		if i < 0 {
			list = append(list, w)
			continue
		}
		m := &list[i]
		m.Late100 = (m.Late100*float64(m.Calls) + w.Late100*float64(w.Calls)) / float64(max(1, m.Calls+w.Calls))
		m.Calls, m.Passed, m.Seconds = m.Calls+w.Calls, m.Passed+w.Passed, max(m.Seconds, w.Seconds)
		m.Delay95, m.MOS, m.Backlog = max(m.Delay95, w.Delay95), min(m.MOS, w.MOS), max(m.Backlog, w.Backlog)
	}
	slices.SortFunc(list, func(a, b measure.Window) int { return cmp.Compare(a.Start, b.Start) })
	return list
}

// estimate computes the MOS of audio from what the stream's quality holds.
func estimate(q *measure.StreamQuality) {
	if q.Name == "audio" && q.Delay.Count() > 0 && len(q.Late) > judged {
		q.MOS = MOS(time.Duration(q.Delay.Milliseconds(0.5)*float64(time.Millisecond)), q.Late[judged].Share)
	}
}
