package loadgen

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"
)

// setupTime bounds the set-up of one call, if the step does not.
const setupTime = 30 * time.Second

// notTried is the cause of calls that grow gave up.
const notTried = "not tried, since those before got no answer in time"

// grow opens the part's calls that are missing among the first n of the run, a few at a time, until
// the context ends or an error is fatal. Where as many as are tried at a time have got no answer, one
// after the other, the rest gets none either: a proxy out of descriptors just accepts nobody, and
// hundreds of time-outs would say no more than a few.
func (g *Generator) grow(ctx context.Context, n int) {
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, g.cfg.Opening)
	missing := g.missing(n)
	g.silent.Store(0)
	for i, number := range missing {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if g.isFatal() {
			return
		}
		if int(g.silent.Load()) >= g.cfg.Opening {
			g.giveUp(len(missing) - i)
			return
		}
		all.Go(func() {
			defer func() { <-room }()
			g.openOne(ctx, number, time.Now())
		})
	}
}

// storm opens the missing calls by the clock, however long each takes: rate per second over all parts
// of the run, from start on.
func (g *Generator) storm(ctx context.Context, n int, rate float64, start time.Time) {
	var all sync.WaitGroup
	defer all.Wait()
	for i, number := range g.missing(n) {
		due := start.Add(time.Duration(float64(g.cfg.Part.Number(i)) / rate * float64(time.Second)))
		if !wait(ctx, time.Until(due)) || g.isFatal() {
			return
		}
		all.Go(func() { g.openOne(ctx, number, due) })
	}
}

// missing are the numbers of the part's calls among the first n that are not up.
func (g *Generator) missing(n int) (list []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	up := make(map[int]bool, len(g.calls))
	for _, c := range g.calls {
		up[c.number] = true
	}
	for i := range g.cfg.Part.Share(n) {
		if number := g.cfg.Part.Number(i); !up[number] {
			list = append(list, number)
		}
	}
	return list
}

// giveUp counts calls that were wanted, and were not tried.
func (g *Generator) giveUp(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted += calls
	g.causes[notTried] += calls
}

func (g *Generator) isFatal() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fatal != nil
}

// openOne opens a call and starts it.
func (g *Generator) openOne(ctx context.Context, number int, due time.Time) {
	g.mu.Lock()
	g.wanted++
	g.mu.Unlock()
	g.awaiting.Add(1)
	defer g.awaiting.Add(-1)
	limit, cancel := context.WithTimeout(ctx, time.Duration(g.setupTime.Load()))
	defer cancel()
	c, phases, err := g.open(limit, number, due)
	g.setup.add(phases)
	if err == nil || limit.Err() == nil {
		g.silent.Store(0)
	} else {
		g.silent.Add(1)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.failed(err)
		} else {
			g.mu.Lock()
			g.wanted-- // we gave up, not the path
			g.mu.Unlock()
		}
		return
	}
	c.out = newOutbox(c.near, g.cfg.Single, g.late, func(late time.Duration) { g.shard(c.number).recordWrite(late) })
	if err := g.use(c); err != nil {
		g.lose(c, err)
	}
}

// Try opens a call, sees that something comes back, and ends it: so that what keeps all calls from
// opening is found before they are tried.
func (g *Generator) Try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	c, _, err := g.open(ctx, g.cfg.Part.Number(0), time.Now())
	if err != nil {
		return err
	}
	c.near.Close()
	g.leave(c)
	return nil
}

// use puts a call into use, and returns why it has ended already, if it has.
func (g *Generator) use(c *call) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.opened, c.renewed = time.Now(), time.Now()
	g.opened++
	g.calls = append(g.calls, c)
	c.reset(g.current)
	c.begin(g.current.begin) // with the lock, so that no other step begins meanwhile
	return c.died
}

// shrink ends the calls beyond the first n of the run.
func (g *Generator) shrink(n int) {
	g.mu.Lock()
	var surplus, rest []*call
	for _, c := range g.calls {
		if c.number < n {
			rest = append(rest, c)
			continue
		}
		c.closed = true
		surplus = append(surplus, c)
	}
	g.calls = rest
	g.mu.Unlock()
	end(surplus)
}

// end ends calls, several at a time: each waits for its connection.
func end(calls []*call) {
	var all sync.WaitGroup
	room := make(chan struct{}, 64)
	for _, c := range calls {
		room <- struct{}{}
		all.Go(func() {
			c.end()
			<-room
		})
	}
	all.Wait()
}

// sweep takes calls away that somebody else has ended, and returns how many there were.
func (g *Generator) sweep() int {
	g.mu.Lock()
	var dead, live []*call
	for _, c := range g.calls {
		if c.near.Err() != nil {
			dead = append(dead, c)
		} else {
			live = append(live, c)
		}
	}
	g.calls = live
	g.mu.Unlock()
	end(dead)
	return len(dead)
}

// churn replaces the oldest call by a new one of its number, rate times per second over all parts of
// the run from start on, until the context ends.
func (g *Generator) churn(ctx context.Context, rate float64, start time.Time) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; ; i++ {
		due := start.Add(time.Duration(float64(g.cfg.Part.Number(i)+1) / rate * float64(time.Second)))
		if !wait(ctx, time.Until(due)) || g.isFatal() {
			return
		}
		all.Go(func() {
			old := g.oldest()
			if old == nil {
				g.unreplaced.Add(1) // left out in silence, it would make a slow path look good
				return
			}
			old.end()
			g.keep(old)
			g.openOne(g.ctx, old.number, due)
		})
	}
}

// keep remembers what a call has counted that was replaced, and lets it count no more.
func (g *Generator) keep(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replaced.add(c, true)
	c.reset(span{window: g.cfg.Window})
}

// oldest takes the oldest call away.
func (g *Generator) oldest() *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.calls) == 0 {
		return nil
	}
	old := g.calls[0]
	g.calls = g.calls[1:]
	old.closed = true
	return old
}

// wait reports whether the time has come before the context's end.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isStarved tells that this machine has run out of something.
func isStarved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENOBUFS)
}
