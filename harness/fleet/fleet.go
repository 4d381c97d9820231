package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// ErrRejected is what Run returns, wrapped, when a credential was rejected: nobody may try it again.
var ErrRejected = errors.New("the credential was rejected")

// Config says what the members are.
type Config struct {
	Processes int          // at least 1
	Part      loadgen.Part // of the calls that all of them together have. Default all
	Args      []string     // of a member; the program is this one

	// Spec is written to a member's standard input before its orders, as JSON. Its part of the calls is
	// given.
	Spec func(part loadgen.Part) any
}

// A Fleet is a number of processes that share calls.
type Fleet struct {
	epoch   time.Time
	members []*member
}

// Start starts the members. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Fleet, error) {
	f := &Fleet{epoch: time.Now()}
	for i := range cfg.Processes {
		part, err := cfg.Part.Split(i, cfg.Processes)
		if err != nil {
			f.Close()
			return nil, err
		}
		m, err := startMember(fmt.Sprintf("%d of %d", i+1, cfg.Processes), cfg.Args, cfg.Spec(part))
		if err != nil {
			f.Close()
			return nil, err
		}
		f.members = append(f.members, m)
	}
	if err := ctx.Err(); err != nil {
		f.Close()
		return nil, context.Cause(ctx)
	}
	return f, nil
}

// Close ends the members and waits for them. It may be called twice.
func (f *Fleet) Close() error {
	var errs []error
	for _, m := range f.members {
		m.stdin.Close() // all at once, then each is waited for
	}
	for _, m := range f.members {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}

// A Load is the fleet on one of the two ways; it is used as a generator is. Run is for one goroutine
// of both together.
type Load struct {
	fleet  *Fleet
	direct bool
	begun  atomic.Pointer[time.Time] // the measuring of the step under way; nil between steps
}

// Load returns the fleet's load through what is tested, or the direct one.
func (f *Fleet) Load(direct bool) *Load { return &Load{fleet: f, direct: direct} }

// Epoch is when the fleet was started.
func (l *Load) Epoch() time.Time { return l.fleet.epoch }

// Close does nothing: the fleet ends both its loads.
func (l *Load) Close() error { return nil }

// Snapshot adds up what the members last said, which is half a second old at most.
func (l *Load) Snapshot() loadgen.Snapshot {
	sum := loadgen.Snapshot{Failed: make(map[string]int)}
	for _, m := range l.fleet.members {
		sum.Add(m.lastSnapshot())
	}
	return sum
}

// SoFar is as that of a generator, and five seconds old at most. A member that has gone is in it with
// what it said last.
func (l *Load) SoFar() (measure.Step, bool) {
	begun := l.begun.Load()
	if begun == nil {
		return measure.Step{}, false
	}
	var steps []measure.Step
	for _, m := range l.fleet.members {
		if s := m.lastSoFar(); s != nil {
			steps = append(steps, *s)
		}
	}
	if len(steps) == 0 {
		return measure.Step{}, false
	}
	m, err := loadgen.Merge(steps)
	m.Start = begun.Sub(l.fleet.epoch).Seconds()
	if all := len(l.fleet.members); len(steps) < all {
		l.lacks(&m, len(steps), fmt.Errorf("%d of %d generator processes had said what they counted", len(steps), all))
	}
	return m, err == nil && l.begun.Load() == begun
}

// Run is as that of a generator. A member that ends by itself makes the step void, and all that come
// after it.
func (l *Load) Run(ctx context.Context, s loadgen.Step) (measure.Step, error) {
	s.Direct = l.direct
	for _, m := range l.fleet.members {
		m.order(order{Step: &s}) // one that has gone is found by collect
	}
	at, err := l.together(ctx, s)
	if err != nil {
		l.fleet.stop()
	}
	l.begun.Store(&at)
	defer l.begun.Store(nil)
	got := l.fleet.collect(ctx)
	if len(got.steps) == 0 {
		return measure.Step{}, errors.Join(append(got.lost, err, got.err)...)
	}
	m, failed := loadgen.Merge(got.steps)
	m.Start = at.Sub(l.fleet.epoch).Seconds()
	if got.answered < len(l.fleet.members) {
		l.lacks(&m, got.answered, errors.Join(append(got.lost, got.err)...))
		for _, s := range got.steps { // those of members that were lost are shorter
			m.Seconds = max(m.Seconds, s.Seconds)
		}
	}
	switch {
	case ctx.Err() != nil:
		return m, context.Cause(ctx)
	case len(got.lost) == len(l.fleet.members):
		return m, errors.Join(append(got.lost, err, failed)...)
	}
	return m, errors.Join(err, failed, got.err)
}

// lacks makes a step void that has not all of what the members should have measured.
func (l *Load) lacks(m *measure.Step, have int, why error) {
	m.Verdict, m.Generator.Coverage = measure.Void, float64(have)/float64(len(l.fleet.members))
	if why != nil {
		m.Reasons = append(m.Reasons, why.Error())
	}
}

// together waits until all members have their calls up, and has them begin at the same time.
func (l *Load) together(ctx context.Context, s loadgen.Step) (at time.Time, err error) {
	for _, m := range l.fleet.members {
		select {
		case <-m.ready:
		case <-m.finished: // it failed, which collect finds
		case <-m.gone:
		case <-ctx.Done():
			return time.Now(), context.Cause(ctx)
		}
	}
	// So many calls take so long to be told.
	at = time.Now().Add(200*time.Millisecond + time.Duration(s.Calls)*50*time.Microsecond)
	if s.Begin != nil {
		if at, err = s.Begin(ctx); err != nil {
			return time.Now(), err
		}
	}
	for _, m := range l.fleet.members {
		m.order(order{Begin: &at})
	}
	return at, nil
}

func (f *Fleet) stop() {
	for _, m := range f.members {
		m.order(order{Stop: true})
	}
}

// collected is what became of a step.
type collected struct {
	steps    []measure.Step // of members that are gone, what they said last
	answered int            // members that measured to the end
	lost     []error        // members that are gone
	err      error          // what members say
}

// stopTime is how long members may take to end a step.
const stopTime = 15 * time.Second

func (f *Fleet) collect(ctx context.Context) (c collected) {
	defer context.AfterFunc(ctx, f.stop)()
	var tooLate <-chan time.Time
	interrupted := ctx.Done()
	for _, m := range f.members {
		for waiting := true; waiting; {
			select {
			case a := <-m.steps:
				waiting = false
				c.add(m, a)
			case <-m.gone:
				waiting = false
				select { // its last word
				case a := <-m.steps:
					c.add(m, a)
				default:
					c.lose(m)
				}
			case <-interrupted:
				interrupted, tooLate = nil, time.After(stopTime)
			case <-tooLate:
				m.kill()
				tooLate = time.After(stopTime)
			}
		}
	}
	return c
}

func (c *collected) lose(m *member) {
	c.lost = append(c.lost, m.lostError())
	if s := m.lastSoFar(); s != nil {
		c.steps = append(c.steps, *s)
	}
}

func (c *collected) add(m *member, a answer) {
	for i, reason := range a.Step.Reasons {
		a.Step.Reasons[i] = "generator process " + m.name + ": " + reason
	}
	if a.Step.Seconds > 0 {
		c.steps = append(c.steps, *a.Step)
		c.answered++
	}
	switch {
	case a.Error == "":
	case a.Rejected:
		c.err = fmt.Errorf("%w: %s", ErrRejected, a.Error)
	case c.err == nil:
		c.err = errors.New(a.Error)
	}
}
