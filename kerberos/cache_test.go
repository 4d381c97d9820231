package kerberos

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestCacheWaiters has callers wait for one fetch: they share its result, unless its caller goes away.
func TestCacheWaiters(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name        string
		cancel      bool  // the caller that fetches
		err         error // of the fetch
		wantLeader  error
		wantWaiter  error
		wantFetches int
	}{
		{"ticket", false, nil, nil, nil, 1},
		{"error", false, broken, broken, broken, 1},
		{"leader goes away", true, nil, context.Canceled, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now, fetches := newCache(), time.Now(), 0
				release := make(chan struct{})
				fetch := func(ctx context.Context) (*ticket, error) {
					fetches++
					select {
					case <-ctx.Done():
						return nil, ctx.Err()
					case <-release:
						return &ticket{end: now.Add(time.Hour)}, tt.err
					}
				}
				get := func(ctx context.Context) chan error {
					done := make(chan error, 1)
					go func() { _, err := c.get(ctx, "key", now, fetch); done <- err }()
					synctest.Wait()
					return done
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				leader, waiter := get(ctx), get(t.Context())
				gone, leave := context.WithCancel(t.Context())
				impatient := get(gone)
				leave()
				if err := <-impatient; !errors.Is(err, context.Canceled) {
					t.Errorf("a waiter that went away got %v, want context.Canceled", err)
				}
				if tt.cancel {
					cancel()
					synctest.Wait()
				}
				close(release)
				if err := <-leader; !errors.Is(err, tt.wantLeader) {
					t.Errorf("leader got %v, want %v", err, tt.wantLeader)
				}
				if err := <-waiter; !errors.Is(err, tt.wantWaiter) {
					t.Errorf("waiter got %v, want %v", err, tt.wantWaiter)
				}
				if fetches != tt.wantFetches {
					t.Errorf("got %d fetches, want %d", fetches, tt.wantFetches)
				}
			})
		})
	}
}

// TestCacheForgets keeps no ticket that has expired or was dropped.
func TestCacheForgets(t *testing.T) {
	c, now := newCache(), time.Now()
	put := func(key string, at time.Time, life time.Duration) *ticket {
		got, err := c.get(context.Background(), key, at, func(context.Context) (*ticket, error) {
			return &ticket{end: at.Add(life)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := put("a", now, time.Hour)
	if again := put("a", now.Add(50*time.Minute), time.Hour); again != a {
		t.Error("a ticket that is good for ten minutes was fetched again")
	}
	if again := put("a", now.Add(59*time.Minute+30*time.Second), time.Hour); again == a {
		t.Error("a ticket that is about to expire was not fetched again")
	}
	b := put("b", now.Add(24*time.Hour), time.Hour)
	if len(c.tickets) != 1 {
		t.Errorf("%d tickets are kept, want 1: the other has expired", len(c.tickets))
	}
	c.drop(a)
	if len(c.tickets) != 1 {
		t.Error("dropping a ticket that is not there dropped another one")
	}
	c.drop(b)
	if len(c.tickets) != 0 {
		t.Error("a dropped ticket is kept")
	}
}
