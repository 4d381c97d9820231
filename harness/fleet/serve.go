package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

const (
	snapshotEvery = 500 * time.Millisecond
	soFarEvery    = 5 * time.Second // what the step has counted so far: should we be killed
)

var errStopped = errors.New("the step was stopped")

// Serve is a member's part: it follows orders until in ends. The generators are the member's own, for
// the way under test and for the one without it. rejected tells the errors after which nobody may try
// again.
func Serve(in *json.Decoder, out io.Writer, proxied, direct *loadgen.Generator, rejected func(error) bool) error {
	m := &serving{out: json.NewEncoder(out), proxied: proxied, direct: direct, rejected: rejected,
		ready: make(chan struct{}), begin: make(chan time.Time, 1), done: make(chan answer)}
	orders := make(chan order)
	ended := make(chan error, 1)
	quit := make(chan struct{})
	defer close(quit)
	go func() { // ends with in at the latest
		for {
			var o order
			if err := in.Decode(&o); err != nil {
				ended <- err
				return
			}
			select {
			case orders <- o:
			case <-quit:
				return
			}
		}
	}()
	err := m.follow(orders, ended)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// serving is what Serve keeps.
type serving struct {
	out             *json.Encoder
	proxied, direct *loadgen.Generator
	rejected        func(error) bool

	running *loadgen.Generator // nil between steps
	cancel  context.CancelCauseFunc
	ready   chan struct{}
	begin   chan time.Time
	done    chan answer
}

func (m *serving) follow(orders <-chan order, ended <-chan error) (err error) {
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	keep := time.NewTicker(soFarEvery)
	defer keep.Stop()
	for err == nil {
		select {
		case o := <-orders:
			err = m.take(o)
		case err = <-ended:
		case <-m.ready:
			err = m.out.Encode(answer{Ready: true})
		case a := <-m.done:
			m.running = nil
			err = m.out.Encode(a)
		case <-tick.C:
			if m.running != nil {
				s := m.running.Snapshot()
				err = m.out.Encode(answer{Snapshot: &s})
			}
		case <-keep.C:
			if m.running == nil {
				continue
			}
			if s, counted := m.running.SoFar(); counted {
				err = m.out.Encode(answer{SoFar: &s})
			}
		}
	}
	if m.running != nil {
		m.cancel(errStopped)
		for m.running != nil {
			select {
			case <-m.ready:
			case <-m.done:
				m.running = nil
			}
		}
	}
	return err
}

func (m *serving) take(o order) error {
	switch {
	case o.Step != nil && m.running != nil:
		return fmt.Errorf("step %q was ordered while another runs", o.Step.Name)
	case o.Step != nil:
		m.start(*o.Step)
	case m.running == nil: // it has ended meanwhile
	case o.Begin != nil:
		m.begin <- *o.Begin // has room for the one of a step
	case o.Stop:
		m.cancel(errStopped)
	}
	return nil
}

func (m *serving) start(s loadgen.Step) {
	g := m.proxied
	if s.Direct {
		g = m.direct
	}
	select { // of a step that was stopped before it began
	case <-m.begin:
	default:
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	m.running, m.cancel = g, cancel
	s.Begin = func(ctx context.Context) (time.Time, error) {
		m.ready <- struct{}{}
		select {
		case at := <-m.begin:
			return at, nil
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
	go func() {
		defer cancel(nil)
		step, err := g.Run(ctx, s)
		m.done <- answered(step, err, m.rejected)
	}()
}

func answered(s measure.Step, err error, rejected func(error) bool) answer {
	a := answer{Step: &s}
	if err != nil {
		a.Error, a.Rejected = err.Error(), rejected(err)
	}
	return a
}
