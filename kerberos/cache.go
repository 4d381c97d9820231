package kerberos

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A cache holds tickets by the name they were asked for, which a KDC may answer with another one,
// and lets one caller fetch what several want.
type cache struct {
	mu      sync.Mutex
	tickets map[string]*ticket
	flights map[string]*flight
}

// A flight is a fetch under way.
type flight struct {
	done chan struct{} // closed after t and err are set
	t    *ticket
	err  error
}

func newCache() *cache {
	return &cache{tickets: map[string]*ticket{}, flights: map[string]*flight{}}
}

// renewBefore is how long before its end a ticket is fetched anew: the proxy's clock may be ahead.
const renewBefore = time.Minute

// get returns the ticket for a key, from the cache, from the fetch of another caller, or by fetch.
// Callers that waited share the fetch's error, too, unless it is that its caller went away.
func (c *cache) get(ctx context.Context, key string, now time.Time, fetch func(context.Context) (*ticket, error)) (*ticket, error) {
	for {
		c.mu.Lock()
		if t := c.tickets[key]; t != nil && t.end.After(now.Add(renewBefore)) {
			c.mu.Unlock()
			return t, nil
		}
		f, others := c.flights[key]
		if !others {
			f = &flight{done: make(chan struct{})}
			c.flights[key] = f
			c.mu.Unlock()
			c.fly(ctx, key, now, f, fetch)
			return f.t, f.err
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
		}
		if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
			if ctx.Err() == nil {
				continue
			}
		}
		return f.t, f.err
	}
}

func (c *cache) fly(ctx context.Context, key string, now time.Time, f *flight, fetch func(context.Context) (*ticket, error)) {
	f.err = errors.New("fetching the ticket failed") // holds if fetch panics
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, key)
		if f.err == nil {
			c.store(key, f.t, now)
		}
		close(f.done)
	}()
	f.t, f.err = fetch(ctx)
}

// store also forgets what has expired, so that the cache is no larger than what is in use.
func (c *cache) store(key string, t *ticket, now time.Time) {
	for k, old := range c.tickets {
		if !old.end.After(now) {
			delete(c.tickets, k)
		}
	}
	c.tickets[key] = t
}

// drop forgets a ticket that a service refused: the next one may be made with a newer key.
func (c *cache) drop(t *ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, have := range c.tickets {
		if have == t {
			delete(c.tickets, key)
		}
	}
}
