package turntcp

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxPollers bounds what one for each CPU would be.
const maxPollers = 16

// pollers share the relays of a server. They start with the first one.
type pollers struct {
	relays relayTable

	mu      sync.Mutex
	all     []*poller
	next    int
	running sync.WaitGroup
}

// add has a relay read from now on.
func (ps *pollers) add(r *relay) error {
	if !r.uses.begin() {
		return nil
	}
	defer r.done()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		if err := ps.start(); err != nil {
			return err
		}
	}
	p := ps.all[ps.next%len(ps.all)]
	ps.next++
	r.poller = p
	ps.relays.put(r.fd, r)
	return p.add(r.fd)
}

// remove is called before the relay's descriptor is closed, which is what takes it out of the epoll.
func (ps *pollers) remove(r *relay) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.relays.put(r.fd, nil)
}

func (ps *pollers) start() error {
	var all []*poller
	for range min(runtime.GOMAXPROCS(0), maxPollers) {
		p, err := newPoller(&ps.relays)
		if err != nil {
			closePollers(all)
			return fmt.Errorf("start to read the relays: %w", err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		ps.running.Go(p.run)
	}
	ps.all = all
	return nil
}

// close ends the pollers, after their relays.
func (ps *pollers) close() {
	ps.mu.Lock()
	all := ps.all
	ps.mu.Unlock()
	closePollers(all)
	ps.running.Wait()
}

func closePollers(all []*poller) {
	for _, p := range all {
		p.file.Close()
	}
}

// A relayTable finds a relay by its descriptor without a lock. Changes are under one.
type relayTable struct {
	slots atomic.Pointer[[]atomic.Pointer[relay]]
}

func (t *relayTable) put(fd int, r *relay) {
	slots := t.slots.Load()
	if slots == nil || fd >= len(*slots) {
		if r == nil {
			return
		}
		larger := make([]atomic.Pointer[relay], max(64, 2*fd))
		if slots != nil {
			for i := range *slots {
				larger[i].Store((*slots)[i].Load())
			}
		}
		slots = &larger
		t.slots.Store(slots)
	}
	(*slots)[fd].Store(r)
}

func (t *relayTable) at(fd int) *relay {
	if slots := t.slots.Load(); slots != nil && fd < len(*slots) {
		return (*slots)[fd].Load()
	}
	return nil
}
