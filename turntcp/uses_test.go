package turntcp

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Exactly one clears up, after the end and after everybody's use.
func TestUses(t *testing.T) {
	const users = 4
	for range 200 {
		var u uses
		var cleared, using atomic.Int32
		var all sync.WaitGroup
		start := make(chan struct{})
		check := func(last bool) {
			if last {
				cleared.Add(1)
				if n := using.Load(); n != 0 {
					t.Errorf("cleared up while %d use it", n)
				}
			}
		}
		for range users {
			all.Go(func() {
				<-start
				for u.begin() {
					using.Add(1)
					using.Add(-1)
					check(u.done())
				}
			})
		}
		all.Go(func() { <-start; check(u.end()) })
		close(start)
		all.Wait()
		if cleared.Load() != 1 || !u.ended() || u.begin() {
			t.Fatalf("cleared up %d times, want once; ended: %v", cleared.Load(), u.ended())
		}
	}
}
