package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// Run puts the tests to a server. The error says why there is nothing to judge: a wrong target or pattern, or a
// server that a client with these credentials cannot use at all. Cancelling ctx ends the run soon; what has
// not been judged by then is skipped.
func Run(ctx context.Context, target Target, options Options) (Report, error) {
	options = options.withDefaults()
	target, err := target.withDefaults()
	if err != nil {
		return Report{}, err
	}
	tests, err := Select(Tests(), options.Run, options.Slow)
	if err != nil {
		return Report{}, err
	}
	if len(tests) == 0 {
		return Report{}, ErrNoTest
	}
	r := Report{
		Format: 1, Address: target.Address, TLS: target.TLS != nil, Started: time.Now(), Peer: "a second allocation",
		Results: make([]Result, len(tests)),
	}
	if target.PeerAddress.IsValid() {
		r.Peer = target.PeerAddress.String()
	}
	first := preflight.judge(ctx, &target, &options)
	if first.Outcome != Pass {
		return Report{}, &UnusableError{Address: target.Address, Result: first}
	}
	runAll(ctx, tests, &target, &options, r.Results)
	r.Interrupted = ctx.Err() != nil
	r.Seconds = time.Since(r.Started).Seconds()
	r.Verdict = r.judge()
	return r, nil
}

// ErrNoTest says that Options.Run matches nothing.
var ErrNoTest = errors.New("conformance: no test matches")

// An UnusableError says that the server does not even let an ordinary client allocate, so that the tests would
// tell nothing.
type UnusableError struct {
	Address string
	Result  Result // how far it came
}

func (e *UnusableError) Error() string {
	return fmt.Sprintf("%s is of no use to an ordinary client: %s", e.Address, e.Result.Reason)
}

// preflight is what any client does.
var preflight = Test{ID: "preflight", Level: Must, run: func(t *T) {
	c := t.allocated()
	c.ok(stun.MethodRefresh, lifetime(0))
}}

// runAll runs the quick tests a few at a time, and the slow ones, which only wait, all at once beside them.
func runAll(ctx context.Context, tests []Test, target *Target, options *Options, results []Result) {
	var mu sync.Mutex // of progress
	done := 0
	one := func(i int) {
		results[i] = tests[i].judge(ctx, target, options)
		mu.Lock()
		defer mu.Unlock()
		done++
		if options.Progress != nil {
			options.Progress(done, len(tests), results[i])
		}
	}
	var running sync.WaitGroup
	quick := make(chan int, len(tests))
	for i, test := range tests {
		if test.Slow {
			running.Go(func() { one(i) })
			continue
		}
		quick <- i
	}
	close(quick)
	for range options.Parallel {
		running.Go(func() {
			for i := range quick {
				one(i)
			}
		})
	}
	running.Wait()
}
