package turntcp

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Relays are waited for by a few pollers instead of a goroutine each: an allocation at rest has none. Each is an epoll(7) of
// its own, for which Go's poller wakes one goroutine, which then reads all relays that have something.

// maxEvents are handled before others have their turn.
const maxEvents = 64

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
		for _, event := range p.events[:n] {
			if r := p.relays.at(int(event.Fd)); r != nil && r.poller == p { // an event may be of the descriptor's last owner
				packets += p.readOne(r)
			}
		}
		p.rest.found(packets)
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
