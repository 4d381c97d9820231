package loadtest

import (
	"context"
	"fmt"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

// searchCalls finds the capacity.
func (z *sizer) searchCalls(ctx context.Context) error {
	z.Objectives = z.steady
	search := sizing.NewSearch(sizing.SearchConfig{
		First: firstCalls, Most: z.Most, StepSeconds: z.times.step.Seconds(), ConfirmSeconds: z.times.confirm.Seconds(), Seconds: z.times.search.Seconds(),
		Precision: z.times.precision, Quick: z.Quick,
	})
	search.Hint(z.idleLimit)
	for req, more := search.Next(); more; req, more = search.Next() {
		begun := time.Now()
		s, err := z.tryCalls(ctx, req)
		if err != nil {
			return err
		}
		search.Report(req, s.Verdict, time.Since(begun).Seconds())
		if n := likely(s); n > 0 {
			search.Hint(n)
		}
	}
	z.Proxy.Capacity, z.searched = search.Result(), true
	return z.endCalls(ctx)
}

// likely is how many calls there could have been, by a step with more: those that are up, or those whose
// packets would have filled the way, less a little, since frames come in bursts. 0 if it does not tell.
func likely(s *measure.Step) int {
	if n := opened(s); n > 0 || s.Verdict != measure.Fail {
		return n
	}
	if share, _ := sizing.Carried(s); share < 0.97 {
		return int(0.95 * share * float64(s.Calls))
	}
	return 0
}

// opened is how many calls are up where more were wanted, else 0.
func opened(s *measure.Step) int {
	if s.Verdict == measure.Void || s.Tunnels.Opened >= s.Tunnels.Wanted {
		return 0
	}
	return s.Calls - (s.Tunnels.Wanted - s.Tunnels.Opened)
}

// endCalls also waits until the proxy has seen it: its tunnels would count against those that follow.
func (z *sizer) endCalls(ctx context.Context) error {
	_, err := z.proxied.Run(ctx, loadgen.Step{})
	settle(ctx)
	return err
}

// tryCalls measures one step of the search. After one that did not pass the calls end, since what
// waits in their tunnels would count against the next.
func (z *sizer) tryCalls(ctx context.Context, req sizing.StepRequest) (*measure.Step, error) {
	s, err := z.step(ctx, loadgen.Step{
		Name: fmt.Sprintf("%s: %d calls", req.Kind, req.Calls), Kind: req.Kind, Calls: req.Calls, Duration: seconds(req.Seconds), SetupTime: z.patience(),
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
// says nothing about the proxy. Tunnels that were refused are not in doubt; and without a baseline there is
// nothing to ask.
func (z *sizer) doubt(ctx context.Context, s *measure.Step) error {
	if s.Verdict != measure.Fail || s.Calls <= z.easy || s.Figures[OpenedShare] < 1 || z.NoBaseline {
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
