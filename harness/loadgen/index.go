package loadgen

import (
	"sync"
	"sync/atomic"
)

// callIndex finds calls by their number, without a lock for those who read.
type callIndex struct {
	mu  sync.Mutex
	all atomic.Pointer[[]atomic.Pointer[call]]
}

func (x *callIndex) get(number uint32) *call {
	if list := x.all.Load(); list != nil && int(number) < len(*list) {
		return (*list)[number].Load()
	}
	return nil
}

func (x *callIndex) put(c *call) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.room(c.number)[c.number].Store(c)
}

func (x *callIndex) remove(c *call) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.room(c.number)[c.number].CompareAndSwap(c, nil)
}

// room returns the list, made long enough; it is called with mu held.
func (x *callIndex) room(number int) []atomic.Pointer[call] {
	var old []atomic.Pointer[call]
	if list := x.all.Load(); list != nil {
		old = *list
	}
	if number < len(old) {
		return old
	}
	list := make([]atomic.Pointer[call], max(64, 2*(number+1)))
	for i := range old {
		list[i].Store(old[i].Load())
	}
	x.all.Store(&list)
	return list
}

// lives counts how often each number was opened.
type lives struct {
	mu  sync.Mutex
	all map[int]uint32
}

func (l *lives) next(number int) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[int]uint32)
	}
	l.all[number]++
	return l.all[number]
}
