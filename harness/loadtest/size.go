package loadtest

import (
	"context"
	"fmt"
	"runtime"
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
}

func (c *Sizing) lengths() lengths {
	if c.times != nil {
		return *c.times
	}
	if c.Quick {
		return lengths{3 * time.Second, 3 * time.Second, 5 * time.Second, 3 * time.Second, 42 * time.Second, 22 * time.Second, 0.1, 200}
	}
	return lengths{10 * time.Second, 5 * time.Second, 15 * time.Second, 8 * time.Second, 5 * time.Minute, time.Minute, 0.04, 400}
}

// A sizer is one execution of Size.
type sizer struct {
	*run
	Sizing
	times   lengths
	base    *measure.Step       // the direct baseline
	easy    int                 // calls that are no matter without the proxy
	seen    []*measure.Step     // of the search, in order
	logins  []*measure.Step     // of the search for tunnels per second
	steady  []measure.Objective // that calls which are up are judged by
	opening []measure.Objective // that tunnels which open are judged by
	idle    measure.Step        // idle tunnels
	points  []sizing.Point
	mix     *measure.Validation
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
	z.Proxy.Profile, z.Proxy.Mbps, z.Proxy.Writes = t.Profile.Name, t.Profile.Mbps(), writes(t.Profile)
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
	z.Baseline = z.times.baseline
	for range 2 { // what all else is compared with should not be void
		if z.base, err = z.baseline(ctx, loadgen.Step{Calls: firstCalls}); err != nil {
			return err
		}
		if z.base.Verdict != measure.Void {
			break
		}
	}
	z.easy = firstCalls
	z.point(*z.base, loadgen.Profile{})
	return nil
}

// searchCalls finds the capacity.
func (z *sizer) searchCalls(ctx context.Context) error {
	z.Objectives = z.steady
	search := sizing.NewSearch(sizing.SearchConfig{
		First: firstCalls, Most: z.Most, StepSeconds: z.times.step.Seconds(), ConfirmSeconds: z.times.confirm.Seconds(), Seconds: z.times.search.Seconds(),
		Precision: z.times.precision, Quick: z.Quick,
	})
	for req, more := search.Next(); more; req, more = search.Next() {
		begun := time.Now()
		s, err := z.tryCalls(ctx, req)
		if err != nil {
			return err
		}
		search.Report(req, s.Verdict, time.Since(begun).Seconds())
	}
	z.Proxy.Capacity = search.Result()
	return z.endCalls(ctx)
}

// endCalls also waits until the proxy has seen it: its tunnels would count against those that follow.
func (z *sizer) endCalls(ctx context.Context) error {
	_, err := z.proxied.Run(ctx, loadgen.Step{})
	settle(ctx)
	return err
}

func settle(ctx context.Context) {
	select {
	case <-time.After(300 * time.Millisecond):
	case <-ctx.Done():
	}
}

// tryCalls measures one step of the search. After one that did not pass the calls end, since what
// waits in their tunnels would count against the next.
func (z *sizer) tryCalls(ctx context.Context, req sizing.StepRequest) (*measure.Step, error) {
	s, err := z.step(ctx, loadgen.Step{
		Name: fmt.Sprintf("%s: %d calls", req.Kind, req.Calls), Kind: req.Kind, Calls: req.Calls, Duration: seconds(req.Seconds),
	}, z.base)
	if err != nil {
		return nil, err
	}
	if s.Verdict != measure.Pass {
		if err := z.endCalls(ctx); err != nil {
			return nil, err
		}
		if err := z.doubt(ctx, &s); err != nil {
			return nil, err
		}
	}
	z.seen = append(z.seen, &s)
	return &s, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// doubt asks of a step that failed whether as many calls without the proxy fare better. If not, it
// says nothing about the proxy. Tunnels that were refused are not in doubt.
func (z *sizer) doubt(ctx context.Context, s *measure.Step) error {
	if s.Verdict != measure.Fail || s.Calls <= z.easy || s.Figures[OpenedShare] < 1 {
		return nil
	}
	got, err := z.measure(ctx, z.direct, loadgen.Step{
		Name: fmt.Sprintf("direct, %d calls", s.Calls), Kind: "baseline", Direct: true, Calls: s.Calls, Duration: z.times.step}, nil)
	if err != nil {
		return err
	}
	if _, err := z.direct.Run(ctx, loadgen.Step{}); err != nil {
		return err
	}
	why := doubtful(got, z.base, z.steady)
	if len(why) == 0 {
		z.easy = s.Calls
		return nil
	}
	s.Verdict, s.Reasons = measure.Void, why
	z.change(func() {
		last := &z.record.Steps[len(z.record.Steps)-2]
		last.Verdict, last.Reasons = s.Verdict, s.Reasons
	})
	return nil
}

// doubtful says why a direct step would not have passed either.
func doubtful(direct measure.Step, baseline *measure.Step, objectives []measure.Objective) (why []string) {
	if direct.Verdict == measure.Void {
		return direct.Reasons
	}
	direct.Direct = false
	judge(&direct, baseline, objectives)
	for _, reason := range direct.Reasons {
		why = append(why, fmt.Sprintf("without the proxy %d calls do not pass either (%s): this machine or the TURN server gives way first", direct.Calls, reason))
	}
	return why
}

// searchLogins finds how many tunnels per second the proxy opens, each in place of another.
func (z *sizer) searchLogins(ctx context.Context) error {
	z.Objectives = z.opening
	length := z.times.step
	search := sizing.NewSearch(sizing.SearchConfig{
		Unit: "tunnels per second", First: z.guessLogins(), Most: int(3000 / length.Seconds()), StepSeconds: length.Seconds(),
		Seconds: z.times.logins.Seconds(), Precision: z.times.precision, Quick: z.Quick, Unconfirmed: true,
	})
	for req, more := search.Next(); more; req, more = search.Next() {
		begun := time.Now()
		s, err := z.tryLogins(ctx, req.Calls, length)
		if err != nil {
			return err
		}
		search.Report(req, s.Verdict, time.Since(begun).Seconds())
	}
	z.loginsFound(search.Result())
	return nil
}

// guessLogins is half of the rate at which the idle tunnels opened, eight at a time.
func (z *sizer) guessLogins() int {
	took := phaseMedian(&z.idle, "total")
	if took <= 0 {
		return firstCalls
	}
	return min(300, max(2, int(4/took)))
}

// pool is how many idle tunnels there are while others open: well below what the proxy takes.
func (z *sizer) pool() int { return min(10, max(1, z.Proxy.Capacity.Calls/2)) }

func (z *sizer) tryLogins(ctx context.Context, rate int, length time.Duration) (*measure.Step, error) {
	s, err := z.special(ctx, loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}, loadgen.Step{
		Name: fmt.Sprintf("search: %d tunnels per second", rate), Kind: "search", Calls: z.pool(), Duration: length, Churn: float64(rate),
	})
	if err != nil {
		return nil, err
	}
	z.change(func() { s.Figures["offered_tunnels_per_s"] = float64(rate) })
	if s.Generator.CPU >= 0.9*float64(runtime.NumCPU()) && s.Verdict == measure.Fail {
		s.Verdict, s.Reasons = measure.Void, []string{fmt.Sprintf("the generator took %.2f cores of %d", s.Generator.CPU, runtime.NumCPU())}
		z.change(func() { z.record.Steps[len(z.record.Steps)-1].Verdict = measure.Void })
	}
	z.logins = append(z.logins, &s)
	return &s, nil
}

// special measures a step of calls that are not those of the test.
func (z *sizer) special(ctx context.Context, p loadgen.Profile, s loadgen.Step) (measure.Step, error) {
	own := *z.Test
	own.Profile = p
	g, err := own.Generator(false)
	if err != nil {
		return measure.Step{}, err
	}
	got, err := z.measure(ctx, g, s, nil)
	g.Close()
	settle(ctx)
	return got, err
}

// loginsFound takes over the result. Where the offered rate was a little too high, the queue grew
// slowly enough to pass: what was done per second is what was offered over the time until the last
// was served.
func (z *sizer) loginsFound(f sizing.Found) {
	p := &z.Proxy
	for _, s := range z.logins {
		p.Legs = max(p.Legs, legs(*s))
	}
	i := slices.IndexFunc(z.logins, func(s *measure.Step) bool {
		return s.Verdict == measure.Pass && s.Figures["offered_tunnels_per_s"] == float64(f.Calls)
	})
	if i < 0 {
		return
	}
	s := z.logins[i]
	p.Logins = float64(f.Calls) * s.Seconds / (s.Seconds + s.Figures[ConnectP95]/1000)
	p.LoginsAtLeast = f.AtLeast
	p.LoginsGaveWay, _ = sizing.GaveWay(z.evidence(z.logins, f, true))
	if p.LoginsGaveWay == sizing.TheMachine || p.LoginsGaveWay == sizing.TheGenerator {
		p.LoginsAtLeast = true
	}
	rest := slices.MinFunc(z.logins, func(a, b *measure.Step) int { return a.Tunnels.Wanted - b.Tunnels.Wanted })
	p.HelperSeconds = phaseMedian(rest, "connect")
}

func phaseMedian(s *measure.Step, name string) float64 {
	for _, p := range s.Setup {
		if p.Name == name && p.Took.Count() > 0 {
			return p.Took.Milliseconds(0.5) / 1000
		}
	}
	return 0
}

// evidence is what a search saw where it ended.
func (z *sizer) evidence(steps []*measure.Step, f sizing.Found, logins bool) sizing.Evidence {
	e := sizing.Evidence{Cores: z.Proxy.Cores, Logins: logins}
	if len(z.Watches) > 0 {
		e.CPUs = z.record.Conditions.CPUs
	}
	for _, s := range steps {
		if e.Rest == nil || load(s) < load(e.Rest) {
			e.Rest = s
		}
		if s.Verdict == measure.Pass || f.AtLeast != (s.Verdict == measure.Void) {
			continue
		}
		if e.Failed == nil || load(s) > load(e.Failed) {
			e.Failed = s
		}
	}
	e.Void = e.Failed != nil && e.Failed.Verdict == measure.Void
	return e
}

// load orders the steps of one search.
func load(s *measure.Step) float64 { return float64(s.Calls) + s.Figures["offered_tunnels_per_s"] }

// conclude computes the answer, and the verdict of the run: pass if the proxy carries anything.
func (z *sizer) conclude() {
	r := &z.record
	r.Objectives = slices.Concat(z.steady, without(z.opening, OpenedShare))
	if len(z.seen) == 0 {
		r.Verdict, r.Reasons = measure.Void, []string{"no number of calls was tried"}
		return
	}
	z.proxyFacts()
	e := z.evidence(z.seen, z.Proxy.Capacity, false)
	var why []string
	z.Proxy.GaveWay, why = sizing.GaveWay(e)
	if z.Proxy.GaveWay == sizing.TheMachine {
		z.Proxy.Capacity.AtLeast = true
	}
	size := sizing.Size(z.Proxy, z.Demand)
	size.Why, size.Validation = why, z.mix
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
		if s.Verdict == measure.Pass && (opened == nil || load(s) > load(opened)) {
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
