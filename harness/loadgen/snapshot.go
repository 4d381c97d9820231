package loadgen

import (
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// A Snapshot is what a live view shows of the step under way.
type Snapshot struct {
	Calls, Opening, Lost int
	Live                 int            // of Calls: those that nobody has ended
	Failed               map[string]int // tunnels that did not open or were lost, by cause
	Sockets              Sockets

	Scheduled, Sent, Received int64 // packets

	Window       int     // number of the last quality window that is over, from 1; 0: none yet
	Judged, Good int     // calls in it, and those of good quality
	Late         float64 // 99th percentile of the pacer's lateness in milliseconds
}

// Add adds the figures of another part.
func (s *Snapshot) Add(o Snapshot) {
	s.Calls, s.Opening, s.Lost, s.Live = s.Calls+o.Calls, s.Opening+o.Opening, s.Lost+o.Lost, s.Live+o.Live
	s.Scheduled, s.Sent, s.Received = s.Scheduled+o.Scheduled, s.Sent+o.Sent, s.Received+o.Received
	s.Judged, s.Good = s.Judged+o.Judged, s.Good+o.Good
	s.Sockets.Add(o.Sockets)
	s.Window, s.Late = max(s.Window, o.Window), max(s.Late, o.Late)
	for cause, n := range o.Failed {
		s.Failed[cause] += n
	}
}

// Snapshot says how it goes.
func (g *Generator) Snapshot() Snapshot {
	s := Snapshot{Sockets: g.sockets(), Opening: int(g.awaiting.Load()), Failed: make(map[string]int)}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Calls, s.Lost = len(g.calls), len(g.lost)
	for _, c := range g.calls {
		if c.died == nil {
			s.Live++
		}
	}
	for k, v := range g.causes {
		s.Failed[k] = v
	}
	for _, sh := range *g.shards.Load() {
		sh.mu.Lock()
		s.Received += sh.received
		sh.mu.Unlock()
	}
	s.Late = g.lateness().Milliseconds(0.99)
	if g.current.end == 0 { // calls are being opened, and what they have counted is of the step before
		return s
	}
	s.Window = min(g.current.windows(), max(0, int((time.Since(g.epoch)-drain-g.current.begin)/g.current.window)))
	var window windowSum
	for _, c := range g.calls {
		c.snapshot(&s, &window)
	}
	s.Judged, s.Good = window.calls, window.passed
	for _, t := range g.replaced.streams {
		s.Scheduled, s.Sent = s.Scheduled+t.scheduled, s.Sent+t.sent
	}
	return s
}

// snapshot adds one call, and its part in the last window that is over.
func (c *call) snapshot(s *Snapshot, sum *windowSum) {
	var last [2]windowTally
	for i, h := range []*half{&c.upward, &c.downward} {
		h.mu.Lock()
		for _, t := range h.streams {
			s.Scheduled, s.Sent = s.Scheduled+t.scheduled, s.Sent+t.sent
		}
		if at := s.Window - 1; at >= 0 && at < len(h.windows) {
			last[i] = h.windows[at]
		}
		h.mu.Unlock()
	}
	sum.add(last[0], last[1], 0)
}

// lateness is that of the pacers so far, without taking it.
func (g *Generator) lateness() *measure.Latency {
	all := measure.NewLatency()
	for _, p := range g.pacers {
		p.mu.Lock()
		l := p.lateness.Clone()
		p.mu.Unlock()
		all.Merge(l)
	}
	return all
}

// Delay is that of all packets of the step so far, both ways.
func (g *Generator) Delay() *measure.Latency {
	all := measure.NewLatency()
	for _, sh := range *g.shards.Load() {
		var list []*measure.Latency
		sh.mu.Lock()
		for _, l := range sh.delay {
			list = append(list, l.Clone())
		}
		sh.mu.Unlock()
		for _, l := range list {
			all.Merge(l)
		}
	}
	return all
}
