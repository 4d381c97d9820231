package loadtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

const (
	rowEvery = time.Second
	maxRows  = 7200 // two hours; a longer run keeps every second one, then every fourth, and so on
)

// rows looks once a second at the generator and the watches, on one time axis.
type rows struct {
	run    *run
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	list    []measure.Row
	keep    int // one row in so many
	seen    int
	unknown []string
	live    Live // what is being run
	last    Live // what was seen last
	from    Load
}

func startRows(r *run) *rows {
	ctx, cancel := context.WithCancel(context.Background())
	w := &rows{run: r, cancel: cancel, done: make(chan struct{}), keep: 1}
	go w.look(ctx)
	return w
}

func (w *rows) close() {
	w.cancel()
	<-w.done
	for _, watch := range w.run.Watches {
		if c, ok := watch.(interface{ Close() }); ok {
			c.Close()
		}
	}
}

// now says what is being run.
func (w *rows) now(s loadgen.Step, g Load) {
	live := Live{Number: w.live.Number + 1, Step: s.Name, Direct: s.Direct, Calls: s.Calls, Duration: s.Duration, began: time.Now()}
	if d, can := g.(interface{ Delay() *measure.Latency }); can {
		live.Delay = d.Delay
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live, w.from = live, g
}

func (w *rows) look(ctx context.Context) {
	defer close(w.done)
	begun := time.Now()
	tick := time.NewTicker(rowEvery)
	defer tick.Stop()
	var before int64
	for {
		ready := time.Since(begun)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		late := lateBy(ready, time.Since(begun), rowEvery)
		values := w.sample(ctx)
		values[rowLate] = measure.Milliseconds(late)
		w.mu.Lock()
		live, from := w.live, w.from
		w.mu.Unlock()
		if from == nil {
			continue
		}
		s := from.Snapshot()
		values["calls"], values["opening"], values["lost"] = float64(s.Calls), float64(s.Opening), float64(s.Lost)
		values["received_pps"] = float64(max(0, s.Received-before)) / rowEvery.Seconds()
		before = s.Received
		if k := s.Sockets; k.Looked > 0 {
			values["tcp.rtt_ms_mean"], values["tcp.rtt_ms_max"] = k.RTT/float64(k.Looked), k.RTTMax
			values["tcp.unsent_bytes_max"], values["tcp.retransmits"] = float64(k.Unsent), float64(k.Retransmits)
		}
		live.Elapsed, live.InStep, live.Snapshot, live.Values = time.Since(w.run.start), time.Since(live.began), s, values
		w.add(measure.Row{At: live.Elapsed.Seconds(), Values: values})
		w.mu.Lock()
		w.last = live
		w.mu.Unlock()
		if w.run.Progress != nil {
			w.run.Progress(live)
		}
	}
}

// lateBy is how much later than the next tick somebody woke up who was ready for it. One that was ready
// late, since it had to do, missed that tick, and waited for none.
func lateBy(ready, woken, every time.Duration) time.Duration {
	next := (ready + every - 1) / every * every
	return max(0, woken-max(next, every))
}

// latest is what was seen last of the step under way; without a snapshot if nothing was yet.
func (w *rows) latest() Live {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.Number != w.live.Number {
		return w.live
	}
	return w.last
}

// sample asks all watches at once; one that does not answer in time is left out of the row.
func (w *rows) sample(ctx context.Context) map[string]float64 {
	ctx, cancel := context.WithTimeout(ctx, rowEvery*9/10)
	defer cancel()
	values := make(map[string]float64)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, watch := range w.watches() {
		all.Go(func() {
			got, err := watch.Sample(ctx)
			mu.Lock()
			defer mu.Unlock()
			for k, v := range got {
				values[k] = v
			}
			if err != nil && ctx.Err() == nil {
				w.cannot(err.Error())
			}
		})
	}
	all.Wait()
	return values
}

func (w *rows) watches() []Watch {
	if w.run.machine == nil {
		return w.run.Watches
	}
	return append(slices.Clone(w.run.Watches), w.run.machine)
}

// cannot keeps what could not be known, each once.
func (w *rows) cannot(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.unknown) < 20 && !slices.Contains(w.unknown, what) {
		w.unknown = append(w.unknown, what)
	}
}

func (w *rows) add(r measure.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen++; w.seen%w.keep != 0 {
		return
	}
	if w.list = append(w.list, r); len(w.list) == maxRows {
		half := w.list[:0]
		for i := 1; i < maxRows; i += 2 {
			half = append(half, w.list[i])
		}
		w.list, w.keep = half, 2*w.keep
	}
}

func (w *rows) take() ([]measure.Row, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	unknown := slices.Clone(w.unknown)
	if len(w.run.Watches) == 0 {
		unknown = append(unknown, "what the proxy's machine did: no probe was given, so only the outside was seen")
	}
	return slices.Clone(w.list), unknown
}

func (w *rows) summarise(s *measure.Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	summarise(s, w.list)
}

// summarise adds to a step's figures the mean ("mean_NAME") and the largest ("max_NAME") of every
// watched value while it was measured.
func summarise(s *measure.Step, rows []measure.Row) {
	type sum struct {
		total, top float64
		n          int
	}
	sums := make(map[string]*sum)
	for _, r := range rows {
		// A row tells of the second before it.
		if r.At < s.Start+rowEvery.Seconds() || r.At > s.Start+s.Seconds {
			continue
		}
		for k, v := range r.Values {
			if sums[k] == nil {
				sums[k] = new(sum)
			}
			sums[k].total, sums[k].top, sums[k].n = sums[k].total+v, max(sums[k].top, v), sums[k].n+1
		}
	}
	for k, v := range sums {
		s.Figures["mean_"+k], s.Figures["max_"+k] = v.total/float64(v.n), v.top
	}
}
