package loadgen

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"
)

// setupTime bounds the set-up of one call.
const setupTime = 30 * time.Second

// grow opens calls until there are n, or the context ends, or an error is fatal. With a rate they are
// opened by the clock, however long each takes; else a few at a time.
func (g *Generator) grow(ctx context.Context, n int, rate float64) {
	g.mu.Lock()
	missing := n - len(g.calls)
	g.mu.Unlock()
	room := make(chan struct{}, g.cfg.Opening)
	if rate > 0 {
		room = make(chan struct{}, max(1, missing)) // never waited for
	}
	var all sync.WaitGroup
	defer all.Wait()
	start := time.Now()
	for i := range missing {
		due := time.Now()
		if rate > 0 {
			due = start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			if !wait(ctx, time.Until(due)) {
				return
			}
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if g.isFatal() {
			return
		}
		if rate <= 0 {
			due = time.Now()
		}
		all.Go(func() {
			defer func() { <-room }()
			g.openOne(ctx, due)
		})
	}
}

func (g *Generator) isFatal() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fatal != nil
}

// openOne opens the next call and starts it.
func (g *Generator) openOne(ctx context.Context, due time.Time) {
	g.mu.Lock()
	number := g.next
	g.next++
	g.wanted++
	g.mu.Unlock()
	g.awaiting.Add(1)
	defer g.awaiting.Add(-1)
	limit, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	c, phases, err := g.open(limit, number, due)
	g.setup.add(phases)
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
	c.out = newOutbox(c.near)
	g.watch(c)
	g.mu.Lock()
	c.reset(g.current)
	g.opened++
	g.calls = append(g.calls, c)
	g.mu.Unlock()
	c.begin()
}

// shrink ends the newest calls until there are n.
func (g *Generator) shrink(n int) {
	g.mu.Lock()
	var surplus []*call
	if len(g.calls) > n {
		surplus = append(surplus, g.calls[n:]...)
		g.calls = g.calls[:n]
	}
	for _, c := range surplus {
		c.closed = true
	}
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

// churn replaces the oldest call by a new one at a rate per second until the context ends.
func (g *Generator) churn(ctx context.Context, rate float64) {
	var all sync.WaitGroup
	defer all.Wait()
	start := time.Now()
	for i := 1; ; i++ {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if !wait(ctx, time.Until(due)) || g.isFatal() {
			return
		}
		all.Go(func() {
			g.mu.Lock()
			var old *call
			if len(g.calls) > 0 {
				old = g.calls[0]
				g.calls = g.calls[1:]
				old.closed = true
			}
			g.mu.Unlock()
			if old != nil {
				old.end()
			}
			g.openOne(g.ctx, due)
		})
	}
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
