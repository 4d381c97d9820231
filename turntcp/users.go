package turntcp

import (
	"sync"
	"sync/atomic"
	"time"
)

// users are those with live allocations. Its lock is taken when an allocation begins and ends only.
type users struct {
	max   int   // allocations of each; 0 for any number
	rate  int64 // bits per second of each, each way; 0 for any
	total traffic

	mu   sync.Mutex
	live map[string]*user
}

// A user is what all allocations of an account share.
type user struct {
	name        string
	allocations int // the users' lock guards it
	traffic     traffic
}

// traffic is a meter for each way.
type traffic struct{ up, down *meter }

func newUsers(c *Config) *users {
	return &users{max: c.MaxAllocations, rate: c.UserRate, total: newTraffic(c.TotalRate), live: make(map[string]*user)}
}

func newTraffic(rate int64) traffic {
	if rate <= 0 {
		return traffic{}
	}
	return traffic{newMeter(rate), newMeter(rate)}
}

// enter counts n more allocations of a user, or reports false if they are too many.
func (us *users) enter(name string, n int) bool {
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.live[name]
	if u == nil {
		u = &user{name: name, traffic: newTraffic(us.rate)}
	}
	if us.max > 0 && u.allocations+n > us.max {
		return false
	}
	u.allocations += n
	us.live[name] = u
	return true
}

func (us *users) leave(name string, n int) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if u := us.live[name]; u != nil {
		if u.allocations -= n; u.allocations <= 0 {
			delete(us.live, name)
		}
	}
}

// meters are those that an allocation of the user must pass.
func (us *users) meters(name string) (up, down meters) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if u := us.live[name]; u != nil && u.traffic.up != nil {
		up, down = append(up, u.traffic.up), append(down, u.traffic.down)
	}
	if us.total.up != nil {
		up, down = append(up, us.total.up), append(down, us.total.down)
	}
	return up, down
}

// meters are none where there is no limit.
type meters []*meter

// pass tells whether a datagram of n bytes of payload is within all limits.
func (ms meters) pass(n int) bool {
	if len(ms) == 0 {
		return true
	}
	now := sinceStart()
	for _, m := range ms {
		if !m.pass(n, now) {
			return false
		}
	}
	return true
}

// A meter lets through a rate of bytes and a burst. It is one number that any number of goroutines
// change without a lock: the time up to which the bytes that passed are paid for (the virtual
// scheduling algorithm of ITU-T I.371).
type meter struct {
	rate  int64 // bits per second
	burst int64 // in nanoseconds of the rate
	paid  atomic.Int64
}

// meterBurst is what may come at once.
const meterBurst = 200 * time.Millisecond

func newMeter(rate int64) *meter {
	m := &meter{rate: rate}
	m.burst = max(int64(meterBurst), m.cost(65535))
	return m
}

// cost is how long n bytes take at the rate, in nanoseconds.
func (m *meter) cost(n int) int64 { return int64(n) * 8 * int64(time.Second) / m.rate }

func (m *meter) pass(n int, now int64) bool {
	cost := m.cost(n)
	for {
		paid := m.paid.Load()
		next := max(paid, now) + cost
		if next-now > m.burst {
			return false
		}
		if m.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}

var started = time.Now()

// sinceStart is a clock that never goes back, in nanoseconds.
func sinceStart() int64 { return int64(time.Since(started)) }
