package loadgen

import (
	"context"
	"fmt"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// A Step is a stretch of load to measure.
type Step struct {
	Name     string
	Kind     string // of measure.Step
	Direct   bool   // for the record
	Calls    int
	Duration time.Duration

	// OpenRate opens the missing calls by the clock, so many per second, and measures meanwhile: a
	// login storm. Default 0 opens them before the measuring begins.
	OpenRate float64
	// Churn replaces so many calls per second while it is measured.
	Churn float64
}

const (
	lead  = 50 * time.Millisecond // from the decision to measure to the first packet that counts
	drain = time.Second           // for packets that are under way at the end
)

// Run brings the number of calls to that of the step, measures, and returns what it saw. If ctx ends,
// that is the error, and the step holds what was measured until then. An error of Config.Fatal is
// returned as well. The calls stay up for the next step.
// The record's Start counts from Epoch.
func (g *Generator) Run(ctx context.Context, s Step) (measure.Step, error) {
	g.begin()
	g.sweep()
	g.shrink(s.Calls)
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	if s.OpenRate > 0 {
		go func() { g.grow(opening, s.Calls, s.OpenRate); close(done) }()
	} else {
		g.grow(opening, s.Calls, 0)
		close(done)
	}
	health := startHealth()
	begun := g.Calls()
	span := g.measure(ctx, s)
	cancel()
	<-done
	r := g.result(s, span)
	r.Generator = health.end(g.pacer.takeLateness())
	g.judge(&r, s, begun)
	g.mu.Lock()
	fatal := g.fatal
	g.mu.Unlock()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, fatal
}

// begin forgets what the step before has counted.
func (g *Generator) begin() {
	g.setup.take()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted, g.opened, g.lost, g.causes, g.farLost, g.starved = 0, 0, nil, make(map[string]int), false, nil
}

// prepare makes all calls count anew, from a moment on that is not yet there when all of them know.
func (g *Generator) prepare(d time.Duration) (sp span) {
	g.resetShards()
	g.pacer.takeLateness()
	g.mu.Lock()
	defer g.mu.Unlock()
	for range 10 { // a machine that is that slow finds its pacer late, too
		now := time.Since(g.epoch)
		sp = span{begin: now + lead, end: now + lead + d, window: g.cfg.Window}
		for _, c := range g.calls {
			c.reset(sp)
		}
		if time.Since(g.epoch) < sp.begin {
			break
		}
	}
	g.current = sp
	return sp
}

// measure lets the span of the step go by.
func (g *Generator) measure(ctx context.Context, s Step) span {
	sp := g.prepare(s.Duration)
	churn, stop := context.WithCancel(ctx)
	churned := make(chan struct{})
	go func() {
		defer close(churned)
		if s.Churn > 0 {
			g.churn(churn, s.Churn)
		}
	}()
	if !wait(ctx, sp.end-time.Since(g.epoch)) {
		sp.end = max(sp.begin, min(sp.end, time.Since(g.epoch)))
	}
	stop()
	<-churned
	// What is under way may still come. A context that has ended does not wait for it.
	wait(ctx, drain)
	return sp
}

func (c *call) reset(s span) {
	n := len(c.g.cfg.Profile.Streams)
	c.upward.reset(n, s)
	c.downward.reset(n, s)
	c.out.backlog.Store(0)
}

// result adds up what the calls have counted.
func (g *Generator) result(s Step, sp span) measure.Step {
	seconds := (sp.end - sp.begin).Seconds()
	r := measure.Step{
		Name: s.Name, Kind: s.Kind, Direct: s.Direct, Calls: s.Calls, Start: sp.begin.Seconds(), Seconds: seconds, Setup: g.setup.take(),
		Up: measure.Flow{Delay: measure.NewLatency()}, Down: measure.Flow{Delay: measure.NewLatency()},
		Schedule: fmt.Sprintf("%016x", Hash(g.cfg.Profile, g.cfg.Seed, g.cfg.FirstCall, g.cfg.FirstCall+s.Calls, min(s.Duration, time.Minute))),
	}
	sum := newSums(g.cfg.Profile, sp)
	g.mu.Lock()
	for _, c := range g.calls {
		sum.add(c)
	}
	g.mu.Unlock()
	for i, stream := range g.cfg.Profile.Streams {
		q := sum.quality(i, *g.shards.Load())
		flow := &r.Down
		if stream.Up {
			flow = &r.Up
		}
		flow.Delay.Merge(q.Delay)
		t := sum.streams[i]
		flow.Scheduled, flow.Sent, flow.Received = flow.Scheduled+t.scheduled, flow.Sent+t.sent, flow.Received+t.received
		flow.PPS += float64(t.received) / seconds
		flow.Mbps += float64(t.received) * stream.meanFrame() / float64(packets(int(stream.meanFrame()))) * 8 / 1e6 / seconds
		r.Streams = append(r.Streams, q)
	}
	for i, stream := range g.cfg.Profile.Streams {
		flow := &r.Down
		if stream.Up {
			flow = &r.Up
		}
		flow.Late = mergeLate(flow.Late, sum.streams[i])
	}
	shares(r.Up.Late, r.Up.Scheduled)
	shares(r.Down.Late, r.Down.Scheduled)
	r.Windows = sum.windowsOf()
	r.Tunnels = g.tunnels()
	return r
}

func (g *Generator) tunnels() measure.Tunnels {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := measure.Tunnels{Wanted: g.wanted, Opened: g.opened, Lost: len(g.lost), Life: measure.NewLatency()}
	if len(g.causes) > 0 {
		t.Causes = make(map[string]int)
		for k, v := range g.causes {
			t.Causes[k] = v
		}
	}
	for _, d := range g.lost {
		t.Life.Record(d)
		if d > time.Minute && len(t.Longer) < 1000 {
			t.Longer = append(t.Longer, d)
		}
	}
	return t
}
