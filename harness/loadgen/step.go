package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// A Step is a stretch of load to measure. Its numbers are of all parts of the run together.
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
	// SetupTime bounds the set-up of each call. Default 30 s.
	SetupTime time.Duration

	// Begin is called when the calls are up and says when the measuring begins, so that generators
	// which share a run begin together. Default is at once.
	Begin func(context.Context) (time.Time, error) `json:"-"`
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
	g.setupTime.Store(int64(cmp.Or(s.SetupTime, setupTime)))
	g.sweep()
	g.shrink(s.Calls)
	if s.OpenRate <= 0 {
		g.grow(ctx, s.Calls)
	}
	sp, err := g.prepare(ctx, s)
	if err != nil {
		return measure.Step{}, err
	}
	health := startHealth()
	g.underway.Store(&underway{s, health})
	sp = g.measure(ctx, s, sp)
	g.underway.Store(nil)
	r := g.result(s, sp, *g.shards.Load(), ctx.Err() != nil)
	r.Setup = g.setup.take()
	r.Generator = health.end(g.takeLateness())
	r.Generator.Writing = writing(*g.shards.Load())
	g.judge(&r)
	g.mu.Lock()
	fatal := g.fatal
	g.mu.Unlock()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, fatal
}

// underway is the step that is being measured.
type underway struct {
	step   Step
	health *health
}

// SoFar is what the step that is being measured has counted, marked partial, for any goroutine; false
// if none is. What was due in the last second and has not come yet is left out. Histograms are taken
// a moment before the counts, and lack what came meanwhile.
func (g *Generator) SoFar() (measure.Step, bool) {
	u := g.underway.Load()
	g.mu.Lock()
	sp := g.current
	g.mu.Unlock()
	now := time.Since(g.epoch)
	if u == nil || now <= sp.begin {
		return measure.Step{}, false
	}
	sp.end = min(sp.end, now)
	var shards []*shard
	for _, sh := range *g.shards.Load() {
		shards = append(shards, sh.clone())
	}
	r := g.result(u.step, sp, shards, true)
	r.Setup = g.setup.soFar()
	r.Tunnels.Wanted = max(r.Tunnels.Opened, r.Tunnels.Wanted-int(g.awaiting.Load()))
	r.Generator = u.health.end(g.lateness())
	r.Generator.Writing = writing(shards)
	g.judge(&r)
	return r, g.underway.Load() == u
}

// writing is how late writes began.
func writing(shards []*shard) *measure.Latency {
	all := measure.NewLatency()
	for _, sh := range shards {
		sh.mu.Lock()
		all.Merge(sh.writing)
		sh.mu.Unlock()
	}
	return all
}

// begin forgets what the step before has counted.
func (g *Generator) begin() {
	g.resetShards()
	g.setup.take()
	g.unreplaced.Store(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted, g.opened, g.refused, g.lost, g.causes, g.farLost, g.starved = 0, 0, 0, nil, make(map[string]int), false, nil
	g.current, g.replaced = span{window: g.cfg.Window}, nil
}

// prepare makes all calls count and follow their schedules anew, from a moment on that is not yet there
// when all of them know.
func (g *Generator) prepare(ctx context.Context, s Step) (sp span, err error) {
	g.resetShards()
	begin := func() time.Duration { return time.Since(g.epoch) + lead }
	if s.Begin != nil {
		at, err := s.Begin(ctx)
		if err != nil {
			return sp, err
		}
		agreed := time.Since(g.epoch) + time.Until(at)
		begin = func() time.Duration { return agreed }
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for range 10 { // a machine that is that slow finds its pacer late, too
		sp = span{begin: begin(), window: g.cfg.Window}
		sp.end = sp.begin + s.Duration
		for _, c := range g.calls {
			c.reset(sp)
		}
		for _, p := range g.pacers {
			p.restart(sp.begin)
		}
		if time.Since(g.epoch) < sp.begin || s.Begin != nil {
			break
		}
	}
	g.takeLateness()
	g.current, g.replaced = sp, newSums(g.cfg.Profile, sp, *g.shards.Load(), false)
	return sp, nil
}

// measure lets the span of the step go by.
func (g *Generator) measure(ctx context.Context, s Step, sp span) span {
	changing, stop := context.WithCancel(ctx)
	defer stop()
	var changes sync.WaitGroup
	start := g.epoch.Add(sp.begin)
	if s.OpenRate > 0 {
		changes.Go(func() { g.storm(changing, s.Calls, s.OpenRate, start) })
	}
	if s.Churn > 0 {
		changes.Go(func() { g.churn(changing, s.Churn, start) })
	}
	if !wait(ctx, sp.end-time.Since(g.epoch)) {
		sp.end = max(sp.begin, min(sp.end, time.Since(g.epoch)))
	}
	stop()
	changes.Wait()
	// What is under way may still come. A context that has ended does not wait for it.
	if s.Duration > 0 && len(g.cfg.Profile.Streams) > 0 {
		wait(ctx, drain)
	}
	return sp
}

func (g *Generator) takeLateness() *measure.Latency {
	all := measure.NewLatency()
	for _, p := range g.pacers {
		all.Merge(p.takeLateness())
	}
	return all
}

func (c *call) reset(s span) {
	n := len(c.g.cfg.Profile.Streams)
	c.upward.reset(n, s)
	c.downward.reset(n, s)
	c.out.backlog.Store(0)
}

// result adds up what the calls have counted; cut says that the step has not come to its end.
func (g *Generator) result(s Step, sp span, shards []*shard, cut bool) measure.Step {
	seconds := (sp.end - sp.begin).Seconds()
	r := measure.Step{
		Name: s.Name, Kind: s.Kind, Direct: s.Direct, Calls: g.cfg.Part.Share(s.Calls), Start: sp.begin.Seconds(), Seconds: seconds, Partial: cut,
		Up: measure.Flow{Delay: measure.NewLatency()}, Down: measure.Flow{Delay: measure.NewLatency()},
	}
	sum := newSums(g.cfg.Profile, sp, shards, cut)
	g.mu.Lock()
	for _, c := range g.calls {
		sum.add(c, cut)
	}
	if g.replaced != nil {
		sum.merge(g.replaced)
	}
	g.mu.Unlock()
	r.Schedule = fmt.Sprintf("%016x", sum.schedule)
	for i, stream := range g.cfg.Profile.Streams {
		q := sum.quality(i)
		flow := &r.Down
		if stream.Up {
			flow = &r.Up
		}
		flow.Delay.Merge(q.Delay)
		t := sum.streams[i]
		r.Streams = append(r.Streams, q)
		flow.Scheduled, flow.Sent, flow.Received = flow.Scheduled+t.scheduled, flow.Sent+t.sent, flow.Received+t.received
		if seconds <= 0 {
			continue
		}
		flow.PPS += float64(t.received) / seconds
		flow.Mbps += float64(t.received) * stream.meanFrame() / float64(packets(int(stream.meanFrame()))) * 8 / 1e6 / seconds
	}
	for i, stream := range g.cfg.Profile.Streams {
		flow := &r.Down
		if stream.Up {
			flow = &r.Up
		}
		flow.Late = mergeLate(flow.Late, sum.streams[i])
	}
	if g.cfg.Profile.Echo { // what came back was up before
		r.Down.Mbps, r.Down.PPS = r.Up.Mbps, r.Up.PPS
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
	t := measure.Tunnels{Wanted: g.wanted, Opened: g.opened, Refused: g.refused, Lost: len(g.lost), Life: measure.NewLatency(), Unreplaced: int(g.unreplaced.Load())}
	causes := maps.Clone(g.causes)
	if t.Unreplaced > 0 {
		causes["not replaced, every call was being opened: more calls, or less churn"] = t.Unreplaced
	}
	if len(causes) > 0 {
		t.Causes = causes
	}
	for _, d := range g.lost {
		t.Life.Record(d)
		if d > time.Minute && len(t.Longer) < 1000 {
			t.Longer = append(t.Longer, d)
		}
	}
	return t
}
