package conformance

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"
)

// A Level is how strongly an RFC demands something (RFC 2119). Only a Must that fails makes a server fail.
type Level string

// The levels. A Must is also what an RFC states as plain fact of a server.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// A Test is one demand on a server.
type Test struct {
	ID      string // stable: "allocate.even-port"
	Level   Level
	Section string // "RFC 8656 7.2"
	Text    string // what a server does, as a sentence without a full stop
	Slow    bool   // waits for something to expire

	run func(*T)
}

// Tests returns all tests, by topic.
func Tests() []Test {
	return slices.Concat(framingTests, bindingTests, authTests, errorTests, allocateTests, reservationTests, lifetimeTests,
		refreshTests, permissionTests, channelTests, dataTests, ipv6Tests, tcpTests, tlsTests, extensionTests, slowTests)
}

// Select returns the tests whose id one of the patterns matches (path.Match), all for no pattern. Slow ones are
// left out unless wanted.
func Select(tests []Test, patterns []string, slow bool) ([]Test, error) {
	var selected []Test
	for _, t := range tests {
		wanted := len(patterns) == 0
		for _, p := range patterns {
			ok, err := path.Match(p, t.ID)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			wanted = wanted || ok
		}
		if wanted && (slow || !t.Slow) {
			selected = append(selected, t)
		}
	}
	return selected, nil
}

// An Outcome is what became of a test.
type Outcome string

// The outcomes.
const (
	Pass       Outcome = "pass"
	Fail       Outcome = "fail"
	NotOffered Outcome = "not offered" // an optional part, and the server refuses or ignores it as it may
	Skipped    Outcome = "skipped"     // could not be judged here
)

// A Result is the outcome of one test.
type Result struct {
	ID      string   `json:"id"`
	Level   Level    `json:"level"`
	Section string   `json:"section"`
	Text    string   `json:"text"`
	Outcome Outcome  `json:"outcome"`
	Reason  string   `json:"reason,omitempty"` // what was expected and what came, or why there is no verdict
	Trace   []string `json:"trace,omitempty"`  // what was sent (>) and what came (<), unless it passed
	Seconds float64  `json:"seconds"`
}

// A verdict ends a test early. The functions of T panic with it, so that a test reads as what it asks; judge
// recovers it.
type verdict struct {
	outcome Outcome
	reason  string
}

// T is one run of one test.
type T struct {
	ctx     context.Context
	target  *Target
	options *Options
	trace   []string
	closers []func()
	names   int // of clients, so far
}

// maxTrace bounds the lines of a trace.
const maxTrace = 60

func (t *T) log(format string, args ...any) {
	if len(t.trace) < maxTrace {
		t.trace = append(t.trace, fmt.Sprintf(format, args...))
	}
}

func (t *T) fail(format string, args ...any) { panic(verdict{Fail, fmt.Sprintf(format, args...)}) }

func (t *T) notOffered(format string, args ...any) {
	panic(verdict{NotOffered, fmt.Sprintf(format, args...)})
}

func (t *T) skip(format string, args ...any) { panic(verdict{Skipped, fmt.Sprintf(format, args...)}) }

func (t *T) onClose(f func()) { t.closers = append(t.closers, f) }

// until is the end of a wait, at the latest that of the test.
func (t *T) until(wait time.Duration) time.Time {
	end := time.Now().Add(wait)
	if d, ok := t.ctx.Deadline(); ok && d.Before(end) {
		return d
	}
	return end
}

// pause waits, or skips the test when the run ends before.
func (t *T) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
		t.skip("interrupted")
	}
}

// Limits of one test, whatever the server does. The slowest waits for a channel to expire, ten minutes.
const (
	testLimit = 45 * time.Second
	slowLimit = 13 * time.Minute
)

// judge runs the test against a server.
func (test Test) judge(ctx context.Context, target *Target, options *Options) (r Result) {
	limit := testLimit
	if test.Slow {
		limit = slowLimit
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := &T{ctx: limited, target: target, options: options}
	began := time.Now()
	r = Result{ID: test.ID, Level: test.Level, Section: test.Section, Text: test.Text, Outcome: Pass}
	defer func() {
		for _, c := range slices.Backward(t.closers) {
			c()
		}
		switch v := recover().(type) {
		case nil:
		case verdict:
			r.Outcome, r.Reason = v.outcome, v.reason
		default:
			panic(v)
		}
		switch {
		case ctx.Err() != nil:
			r.Outcome, r.Reason = Skipped, "interrupted"
		case limited.Err() != nil:
			r.Outcome, r.Reason = Fail, fmt.Sprintf("not at its end within %v; at last: %s", limit, r.Reason)
		}
		if r.Outcome != Pass {
			r.Trace = t.trace
		}
		r.Seconds = time.Since(began).Seconds()
	}()
	test.run(t)
	return r
}
