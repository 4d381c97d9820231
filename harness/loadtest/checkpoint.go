package loadtest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// checkpointEvery is how often Test.Checkpoint is called where CheckpointEvery says nothing.
const checkpointEvery = 10 * time.Second

// A keeper hands out the record of a run that goes on, so that it outlives the process.
type keeper struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startKeeper(r *run) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{cancel: cancel, done: make(chan struct{})}
	every := r.CheckpointEvery
	if every <= 0 {
		every = checkpointEvery
	}
	go func() {
		defer close(k.done)
		for tick := time.NewTicker(every); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				r.Checkpoint(r.soFar())
			}
		}
	}()
	return k
}

// close waits until no call of Checkpoint is under way. It may be called twice, and of none.
func (k *keeper) close() {
	if k == nil {
		return
	}
	k.cancel()
	<-k.done
}

// change alters what the record's steps hold.
func (r *run) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// soFar is the record of what has been measured, marked partial. The step that is being measured is
// its last one.
func (r *run) soFar() measure.Record {
	c := r.measuring()
	step, counted := c.soFar(r)
	record, now := r.copied()
	if counted && c == now { // else it has ended meanwhile, and is there
		record.Steps = append(record.Steps, step)
	}
	record.Objectives = slices.Clone(record.Objectives)
	record.Partial, record.Seconds = true, time.Since(r.start).Seconds()
	record.Rows, record.Unknown = r.rows.take()
	overall(&record)
	record.Reasons = append(record.Reasons, "this is how far the run had come when the record was last kept")
	return record
}

func (r *run) measuring() *current {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// soFar is what the step has measured, judged as if it ended now.
func (c *current) soFar(r *run) (measure.Step, bool) {
	if c == nil {
		return measure.Step{}, false
	}
	s, counted := c.load.SoFar()
	if !counted {
		return s, false
	}
	s.Start += c.load.Epoch().Sub(r.start).Seconds()
	judge(&s, c.baseline, c.objectives)
	r.rows.summarise(&s)
	if !r.AnyMachine {
		excuse(&s, c.objectives, r.record.Conditions.CPUs)
	}
	return s, true
}

func (r *run) copied() (measure.Record, *current) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record := r.record
	record.Steps = slices.Clone(record.Steps)
	for i := range record.Steps {
		record.Steps[i].Figures = maps.Clone(record.Steps[i].Figures)
	}
	return record, r.current
}
