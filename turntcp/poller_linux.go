package turntcp

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Relays are waited for by a few pollers instead of a goroutine each: an allocation at rest has none. Each is an epoll(7) of
// its own, for which Go's poller wakes one goroutine, which then reads all relays that have something.

const (
	maxPollers = 16
	maxEvents  = 64 // that are handled before others have their turn
)

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

// A poller reads relays that have something to be read.
type poller struct {
	relays *relayTable
	file   *os.File // the epoll
	raw    syscall.RawConn
	events [maxEvents]unix.EpollEvent
	rest   rest

	again, before []*relay // which may have more than was read of them, now and in the last turn
}

func newPoller(relays *relayTable) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true) // or Go's poller would not wait for it; it cannot fail
	p := &poller{relays: relays, file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

func (p *poller) add(fd int) (err error) {
	failed := p.raw.Control(func(epoll uintptr) {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xFFFFFFFF, Fd: int32(fd)}
		err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, fd, &event))
	})
	if failed != nil {
		return failed
	}
	return err
}

// run reads until the poller is closed.
func (p *poller) run() { _ = p.raw.Read(p.read) }

// read reads until there is nothing more, and then returns false: more is an event of its own.
func (p *poller) read(epoll uintptr) bool {
	for {
		if len(p.again) == 0 {
			p.rest.take()
		}
		n := p.look(epoll)
		packets := p.readAgain()
		relays := len(p.before) + n
		for _, event := range p.events[:n] {
			if r := p.relays.at(int(event.Fd)); r != nil && r.poller == p { // an event may be of the descriptor's last owner
				packets += p.readOne(r)
			}
		}
		p.rest.found(relays, packets)
		if n < maxEvents && len(p.again) == 0 {
			return false
		}
		runtime.Gosched()
	}
}

func (p *poller) look(epoll uintptr) int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&p.events[0])), maxEvents, 0, 0, 0)
		if errno == 0 {
			return int(n)
		}
		if errno != unix.EINTR {
			return 0
		}
	}
}

// readAgain reads each of those that may have more once, in turn with those that have something new.
func (p *poller) readAgain() (packets int) {
	clear(p.before)
	p.before, p.again = p.again, p.before[:0]
	for _, r := range p.before {
		packets += p.readOne(r)
	}
	return packets
}

func (p *poller) readOne(r *relay) (packets int) {
	packets, more := r.readSome()
	if more {
		p.again = append(p.again, r)
	}
	return packets
}
