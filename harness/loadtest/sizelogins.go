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

// searchLogins finds how many tunnels per second the proxy opens, each in place of another.
func (z *sizer) searchLogins(ctx context.Context) error {
	z.Objectives = z.opening
	length := z.times.step
	search := sizing.NewSearch(sizing.SearchConfig{
		Unit: "tunnels per second", First: z.guessLogins(), Most: z.mostLogins(), StepSeconds: length.Seconds(),
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

// offeredRate is the figure of a step that says how many tunnels per second were to open.
const offeredRate = "offered_tunnels_per_s"

func offeredLogins(s *measure.Step) int { return int(s.Figures[offeredRate]) }

// room is how many tunnels may be open while others open: well below what the proxy takes, which is what
// it has carried, or has been seen to hold without traffic.
func (z *sizer) room() int { return max(1, z.Proxy.Capacity.Calls/2, z.idle.Calls/2) }

// pool is how many idle tunnels there are to be replaced at a rate: enough for each to take half a
// second.
func (z *sizer) pool(rate int) int { return min(max(10, rate/2), z.room()) }

// mostLogins is the rate up to which the pool is no limit of its own, and a step opens no more tunnels
// than this machine has ports for.
func (z *sizer) mostLogins() int {
	most := 3000 / z.times.step.Seconds()
	if took := phaseMedian(&z.idle, "total"); took > 0 {
		most = min(most, float64(z.room())/took)
	}
	return max(1, int(most))
}

func (z *sizer) tryLogins(ctx context.Context, rate int, length time.Duration) (*measure.Step, error) {
	s, err := z.special(ctx, loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}, loadgen.Step{
		Name: fmt.Sprintf("search: %d tunnels per second", rate), Kind: "search", Calls: z.pool(rate), Duration: length, Churn: float64(rate),
	})
	if err != nil {
		return nil, err
	}
	z.change(func() { s.Figures[offeredRate] = float64(rate) })
	if why := keptUp(s, rate); why != "" && s.Verdict == measure.Pass {
		s.Verdict, s.Reasons = measure.Fail, []string{why}
	}
	if s.Generator.CPU >= 0.9*float64(runtime.NumCPU()) && s.Verdict == measure.Fail {
		s.Verdict, s.Reasons = measure.Void, []string{fmt.Sprintf("the generator took %.2f cores of %d", s.Generator.CPU, runtime.NumCPU())}
	}
	z.change(func() { z.record.Steps[len(z.record.Steps)-1] = s })
	z.logins = append(z.logins, &s)
	return &s, nil
}

// keptUp says why a step did not open what was offered: where no tunnel of the pool is left to be
// replaced, all of them are waiting.
func keptUp(s measure.Step, rate int) string {
	if opened := float64(s.Tunnels.Opened-s.Calls) / s.Seconds; opened < 0.95*float64(rate) {
		return fmt.Sprintf("of %d tunnels per second %.1f opened", rate, opened)
	}
	return ""
}

// served is how many tunnels per second opened where more were offered than did, and none was refused:
// all that were begun, over the time until the last of them was served. 0 of other steps.
func served(s *measure.Step) float64 {
	if s.Verdict != measure.Fail || s.Tunnels.Opened < s.Tunnels.Wanted {
		return 0
	}
	return float64(s.Tunnels.Opened-s.Calls) / (s.Seconds + s.Figures[ConnectP95]/1000)
}

// loginsFound takes over the result. Where the offered rate was a little too high, the queue grew
// slowly enough to pass: what was done per second is what was offered over the time until the last
// was served.
func (z *sizer) loginsFound(f sizing.Found) {
	p := &z.Proxy
	p.Legs = legs(z.idle)
	i := slices.IndexFunc(z.logins, func(s *measure.Step) bool { return s.Verdict == measure.Pass && offeredLogins(s) == f.Calls })
	if i < 0 {
		return
	}
	s := z.logins[i]
	e := z.evidence(z.logins, f, offeredLogins)
	e.Logins = true
	p.HelperSeconds = phaseMedian(e.Rest, "connect")
	if p.Helpers == 0 {
		p.Helpers = sizing.Helpers(e.Rest)
	}
	p.Logins = float64(f.Calls) * s.Seconds / (s.Seconds + max(0, s.Figures[ConnectP95]/1000-p.HelperSeconds))
	p.LoginsAtLeast = f.AtLeast
	for _, s := range z.logins {
		p.Logins = max(p.Logins, served(s))
	}
	var why []string
	p.LoginsGaveWay, why = sizing.GaveWay(e)
	for _, w := range why {
		z.loginsWhy = append(z.loginsWhy, "tunnels per second: "+w)
	}
	if p.LoginsGaveWay == sizing.TheMachine || p.LoginsGaveWay == sizing.TheGenerator {
		p.LoginsAtLeast = true
	}
}

func phaseMedian(s *measure.Step, name string) float64 {
	for _, p := range s.Setup {
		if p.Name == name && p.Took.Count() > 0 {
			return p.Took.Milliseconds(0.5) / 1000
		}
	}
	return 0
}
