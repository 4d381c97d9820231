package loadgen

import (
	"math"
	"slices"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// sums are those of all calls of a step.
type sums struct {
	profile Profile
	span    span
	streams []streamTally
	windows []windowSum
	shards  []*shard

	schedule uint64 // fingerprints of all frames that were due
}

// A windowSum is one window of all calls.
type windowSum struct {
	calls, passed   int
	scheduled, late int64
	delays          []time.Duration // mean of each call
	mos             []float64
	backlog         int64
}

// newSums has nothing in it. If it is cut the span ends at this moment.
func newSums(p Profile, s span, shards []*shard, cut bool) *sums {
	windows := s.windows()
	if cut { // a window of less than that has nothing to be judged by
		windows = span{s.begin, max(s.begin, s.end-drain), s.window}.windows()
	}
	return &sums{profile: p, span: s, shards: shards, streams: make([]streamTally, len(p.Streams)), windows: make([]windowSum, windows)}
}

// add takes what a call has counted. It is settled if it ends at this moment: what was due in its last second may be
// on its way.
func (s *sums) add(c *call, settle bool) {
	var both [][]windowTally
	for _, h := range []*half{&c.upward, &c.downward} {
		h.mu.Lock()
		s.schedule += h.schedule
		unsettled := int64(0)
		for i := range h.streams {
			t := h.streams[i]
			if t.scheduled > 0 && settle {
				unsettled += s.lastSecond(i)
				t.scheduled = settled(t.scheduled, t.received, s.lastSecond(i))
				t.sent = min(t.sent, t.scheduled)
			}
			s.streams[i].add(&t)
			if t.frames > 1 { // of the last window
				s.shards[c.number%len(s.shards)].recordJitter(i, time.Duration(t.jitter))
			}
		}
		windows := slices.Clone(h.windows[:min(len(h.windows), len(s.windows))])
		h.mu.Unlock()
		if settle {
			settleLast(windows, unsettled)
		}
		both = append(both, windows)
	}
	backlog := c.out.backlog.Load()
	for i := range s.windows {
		if i < len(both[0]) && i < len(both[1]) {
			s.windows[i].add(both[0][i], both[1][i], backlog)
		}
	}
}

// lastSecond is how many packets of a stream are due in as long as they may be under way (drain).
func (s *sums) lastSecond(stream int) int64 {
	st := s.profile.Streams[stream]
	return int64(math.Ceil(st.Rate * float64(packets(int(st.meanFrame()))) * drain.Seconds()))
}

// settleLast settles the last window in which something was due.
func settleLast(windows []windowTally, unsettled int64) {
	for i := len(windows) - 1; i >= 0; i-- {
		if w := &windows[i]; w.scheduled > 0 {
			w.scheduled = settled(w.scheduled, w.received, unsettled)
			return
		}
	}
}

// merge adds what other calls of the step have counted.
func (s *sums) merge(o *sums) {
	s.schedule += o.schedule
	for i := range s.streams {
		s.streams[i].add(&o.streams[i])
	}
	for i := range min(len(s.windows), len(o.windows)) {
		w, more := &s.windows[i], &o.windows[i]
		w.calls, w.passed, w.scheduled, w.late = w.calls+more.calls, w.passed+more.passed, w.scheduled+more.scheduled, w.late+more.late
		w.delays, w.mos, w.backlog = append(w.delays, more.delays...), append(w.mos, more.mos...), max(w.backlog, more.backlog)
	}
}

// settled leaves out of what was due as much as may be on its way and has not come.
func settled(scheduled, received, unsettled int64) int64 {
	return max(min(scheduled, received), scheduled-unsettled)
}

func (t *streamTally) add(o *streamTally) {
	t.scheduled, t.sent, t.received = t.scheduled+o.scheduled, t.sent+o.sent, t.received+o.received
	for i := range t.late {
		t.late[i] += o.late[i]
	}
	t.stalls, t.freezes = t.stalls+o.stalls, t.freezes+o.freezes
}

// add judges one call in one window by its worse direction.
func (w *windowSum) add(up, down windowTally, backlog int64) {
	if up.scheduled+down.scheduled == 0 {
		return
	}
	w.calls++
	w.backlog = max(w.backlog, backlog)
	worst, delay := 0.0, time.Duration(0)
	for _, t := range []windowTally{up, down} {
		if t.scheduled == 0 {
			continue
		}
		late := t.late[judged] + max(0, t.scheduled-t.received)
		w.scheduled, w.late = w.scheduled+t.scheduled, w.late+late
		worst = max(worst, float64(late)/float64(t.scheduled))
		if t.received > 0 {
			delay = max(delay, t.delays/time.Duration(t.received))
		}
	}
	if worst <= passShare {
		w.passed++
	}
	w.delays = append(w.delays, delay)
	w.mos = append(w.mos, MOS(delay, worst))
}

func (s *sums) windowsOf() (list []measure.Window) {
	for i, w := range s.windows {
		begin := time.Duration(i) * s.span.window
		length := min(s.span.window, s.span.end-s.span.begin-begin)
		if w.calls == 0 || length <= 0 {
			continue
		}
		slices.Sort(w.delays)
		slices.Sort(w.mos)
		list = append(list, measure.Window{
			Start: begin.Seconds(), Seconds: length.Seconds(), Calls: w.calls, Passed: w.passed,
			Delay95: measure.Milliseconds(w.delays[int(0.95*float64(len(w.delays)-1))]),
			Late100: float64(w.late) / float64(w.scheduled), MOS: w.mos[int(0.05*float64(len(w.mos)-1))], Backlog: float64(w.backlog),
		})
	}
	return list
}

// quality is that of one stream, all calls together.
func (s *sums) quality(stream int) measure.StreamQuality {
	t := s.streams[stream]
	q := measure.StreamQuality{
		Name: s.profile.Streams[stream].Name, Up: s.profile.Streams[stream].Up, Delay: measure.NewLatency(), Jitter: measure.NewLatency(),
		Scheduled: t.scheduled, Stalls: t.stalls, Freezes: t.freezes, Late: mergeLate(nil, t),
	}
	for _, sh := range s.shards {
		sh.mu.Lock()
		q.Delay.Merge(sh.delay[stream])
		q.Jitter.Merge(sh.jitter[stream])
		sh.mu.Unlock()
	}
	shares(q.Late, t.scheduled)
	estimate(&q)
	return q
}

// mergeLate adds a stream's late packets, those that never came among them, as counts in Share.
func mergeLate(list []measure.Late, t streamTally) []measure.Late {
	if list == nil {
		for _, d := range deadlines {
			list = append(list, measure.Late{Milliseconds: int(d.Milliseconds())})
		}
	}
	for i := range list {
		list[i].Share += float64(t.late[i] + max(0, t.scheduled-t.received))
	}
	return list
}

// shares turns counts into shares.
func shares(list []measure.Late, scheduled int64) {
	for i := range list {
		if scheduled > 0 {
			list[i].Share /= float64(scheduled)
		}
	}
}
