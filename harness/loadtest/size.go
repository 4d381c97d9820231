package loadtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

// A Sizing says what Size looks for.
type Sizing struct {
	Quick    bool           // within two minutes, and coarser
	Proxy    sizing.Proxy   // what the user knows of it; what is measured is filled in
	Demand   measure.Demand // complete, see sizing.Concurrent
	Most     int            // calls to try at most. Default 10,000
	Validate int            // how often to measure a mix that the cost model has not seen. Default 0

	// Foretold is called with the prediction for that mix before it is measured. May be nil.
	Foretold func(measure.Validation)

	times *lengths // for tests
}

// lengths are how long things are measured.
type lengths struct {
	baseline, step, confirm, model time.Duration
	search, logins                 time.Duration // budgets
	precision                      float64
	idle                           int // tunnels without traffic to measure
	patience                       time.Duration
}

func (c *Sizing) lengths() lengths {
	if c.times != nil {
		return *c.times
	}
	if c.Quick {
		return lengths{3 * time.Second, 3 * time.Second, 5 * time.Second, 3 * time.Second, 50 * time.Second, 22 * time.Second, 0.05, 200, 5 * time.Second}
	}
	return lengths{10 * time.Second, 5 * time.Second, 15 * time.Second, 8 * time.Second, 5 * time.Minute, time.Minute, 0.04, 400, 10 * time.Second}
}

// A sizer is one execution of Size.
type sizer struct {
	*run
	Sizing
	times    lengths
	base     *measure.Step       // the direct baseline, if there is one
	rest     measure.Step        // the proxy at rest
	easy     int                 // calls that are no matter without the proxy
	seen     []*measure.Step     // of the search, in order
	searched bool                // the search came to its end
	logins   []*measure.Step     // of the search for tunnels per second
	steady   []measure.Objective // that calls which are up are judged by
	opening  []measure.Objective // that tunnels which open are judged by
	idle     measure.Step        // idle tunnels
	// idleLimit is how many idle tunnels opened, if more were wanted.
	idleLimit int
	points    []sizing.Point
	mix       *measure.Validation
	// loginsWhy says what gave way in the search for tunnels per second.
	loginsWhy []string
}

// Size searches what the proxy carries, fits what it costs, and answers how many proxies the demand
// needs. As with Load, an interrupted run's record is partial, and an error says that nothing could
// be measured.
func (t *Test) Size(ctx context.Context, c Sizing) (measure.Record, error) {
	own := *t
	own.Command = "size"
	r, err := own.begin(ctx)
	if err != nil {
		return r.record, err
	}
	defer r.close()
	z := &sizer{run: r, Sizing: c, times: c.lengths()}
	z.steady, z.opening = split(t.Objectives)
	z.Proxy.Profile, z.Proxy.Mbps, z.Proxy.Writes = own.Profile.Name, own.Profile.Mbps(), own.Profile.Writes()
	ctx = r.ctx
	err = z.all(ctx)
	r.seal(ctx)
	z.conclude()
	r.interrupted(ctx)
	return r.record, quiet(ctx, err)
}

// split parts the objectives: how fast tunnels open says nothing about calls that are up, and a
// search for calls opens them faster than users do.
func split(all []measure.Objective) (steady, opening []measure.Objective) {
	for _, o := range all {
		switch o.Metric {
		case ConnectP95, ConnectP99, SetupP95, SetupP99:
			opening = append(opening, o)
		case OpenedShare:
			opening = append(opening, o)
			steady = append(steady, o)
		default:
			steady = append(steady, o)
		}
	}
	return steady, opening
}

// all measures. The order matters: what memory a tunnel takes shows only before the proxy has had
// many.
func (z *sizer) all(ctx context.Context) error {
	for _, part := range []func(context.Context) error{z.atRest, z.idleTunnels, z.searchCalls, z.searchLogins, z.measureCosts, z.validate} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

const firstCalls = 8

// atRest measures the direct baseline, and the proxy while nothing goes through it.
func (z *sizer) atRest(ctx context.Context) (err error) {
	z.easy = firstCalls
	if z.NoBaseline {
		return z.nearlyAtRest(ctx)
	}
	z.Baseline = z.times.baseline
	for range 2 { // what all else is compared with should not be void
		if z.base, err = z.baseline(ctx, loadgen.Step{Calls: firstCalls}); err != nil {
			return err
		}
		if z.base.Verdict != measure.Void {
			break
		}
	}
	z.rest = *z.base
	z.point(z.rest, loadgen.Profile{})
	return nil
}

// nearlyAtRest measures the proxy with one tunnel, and nothing in it.
func (z *sizer) nearlyAtRest(ctx context.Context) (err error) {
	z.Objectives = nil
	idle := loadgen.Profile{Name: "idle", Summary: "a tunnel without traffic"}
	z.rest, err = z.special(ctx, idle, loadgen.Step{Name: "at rest: 1 idle tunnel", Kind: "model", Calls: 1, Duration: z.times.baseline})
	if err != nil {
		return err
	}
	if z.rest.Tunnels.Opened == 0 {
		return fmt.Errorf("not one tunnel opened: %w", causes(z.rest))
	}
	z.point(z.rest, idle)
	return nil
}

// special measures a step of calls that are not those of the test.
func (z *sizer) special(ctx context.Context, p loadgen.Profile, s loadgen.Step) (measure.Step, error) {
	if z.Peer.IsValid() {
		p = p.Echoed()
	}
	g, err := z.Test.special(p)
	if err != nil {
		return measure.Step{}, err
	}
	s.SetupTime = z.patience()
	got, err := z.measure(ctx, g, s, nil)
	g.Close()
	settle(ctx)
	return got, err
}

// patience is how long one set-up may take: more than any objective for it, and enough for a queue before
// a slow proxy. One that has no descriptors left answers nobody, and each step would wait for that.
func (z *sizer) patience() time.Duration {
	return min(30*time.Second, max(z.times.patience, 10*z.dialed))
}

// settle gives the proxy time to see that tunnels have ended.
func settle(ctx context.Context) {
	select {
	case <-time.After(700 * time.Millisecond):
	case <-ctx.Done():
	}
}

// evidence is what a search saw where it ended; amount is what was searched.
func (z *sizer) evidence(steps []*measure.Step, f sizing.Found, amount func(*measure.Step) int) sizing.Evidence {
	e := sizing.Evidence{Cores: z.Proxy.Cores, Shared: z.Proxy.SharedCores, Void: f.AtLeast && f.Fails == 0}
	least := f.Limit
	if !e.Void {
		least = f.Fails
	}
	if len(z.Watches) > 0 {
		e.CPUs = z.record.Conditions.CPUs
	}
	for _, s := range steps {
		if e.Rest == nil || amount(s) < amount(e.Rest) {
			e.Rest = s
		}
		ended := least > 0 && amount(s) >= least && s.Verdict != measure.Pass && e.Void == (s.Verdict == measure.Void)
		if ended && (e.Failed == nil || amount(s) > amount(e.Failed)) {
			e.Failed = s
		}
	}
	return e
}

func callsOf(s *measure.Step) int { return s.Calls }

// conclude computes the answer, and the verdict of the run: pass if the proxy carries anything.
func (z *sizer) conclude() {
	r := &z.record
	r.Objectives = slices.Concat(z.steady, without(z.opening, OpenedShare))
	if r.Partial && !z.searched {
		r.Verdict, r.Reasons = measure.Void, []string{z.unfinished()}
		return
	}
	if len(z.seen) == 0 {
		r.Verdict, r.Reasons = measure.Void, []string{"no number of calls was tried"}
		return
	}
	z.proxyFacts()
	var why []string
	z.Proxy.GaveWay, why = sizing.GaveWay(z.evidence(z.seen, z.Proxy.Capacity, callsOf))
	if z.Proxy.GaveWay == sizing.TheMachine {
		z.Proxy.Capacity.AtLeast = true
	}
	size := sizing.Size(z.Proxy, z.Demand)
	size.Why, size.Validation = slices.Concat(why, z.loginsWhy), z.mix
	if z.NoBaseline && !size.AtLeast {
		size.Why = append(size.Why, unasked)
	}
	r.Size = &size
	z.judgeObjectives()
	switch {
	case size.Capacity > 0:
		r.Verdict = measure.Pass
	case size.AtLeast:
		r.Verdict, r.Reasons = measure.Void, why
	default:
		r.Verdict, r.Reasons = measure.Fail, why
	}
	if r.Partial {
		r.Verdict = measure.Void
	}
}

// unasked is what a sizing without a baseline cannot know.
const unasked = "nothing was measured without the proxy: where it shows no cause of its own, what gave way may be the TURN server or the echo peer"

// unfinished says how far the search had come. That is no capacity.
func (z *sizer) unfinished() string {
	most := 0
	for _, s := range z.seen {
		if s.Verdict == measure.Pass {
			most = max(most, s.Calls)
		}
	}
	if most == 0 {
		return "the search for the capacity did not come to its end, and no step had passed yet"
	}
	return fmt.Sprintf("the search for the capacity did not come to its end; %d calls had passed", most)
}

func without(list []measure.Objective, metric string) (kept []measure.Objective) {
	for _, o := range list {
		if o.Metric != metric {
			kept = append(kept, o)
		}
	}
	return kept
}

// judgeObjectives takes the steps at the capacity, and the fastest opening that passed.
func (z *sizer) judgeObjectives() {
	var opened *measure.Step
	for _, s := range z.logins {
		if s.Verdict == measure.Pass && (opened == nil || offeredLogins(s) > offeredLogins(opened)) {
			opened = s
		}
	}
	for i := range z.record.Objectives {
		o := &z.record.Objectives[i]
		if !slices.ContainsFunc(z.steady, func(s measure.Objective) bool { return s.Metric == o.Metric }) {
			if opened != nil {
				apply(o, opened.Figures)
			}
			continue
		}
		for _, s := range z.seen {
			if s.Calls == z.Proxy.Capacity.Calls && s.Verdict == measure.Pass {
				apply(o, s.Figures)
			}
		}
	}
}
