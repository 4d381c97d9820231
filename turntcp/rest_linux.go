package turntcp

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A wake-up costs more than relaying a packet, and who wakes up at the first packet of a train finds little of it. So a
// poller that finds trains looks for more only so often, as network cards moderate their interrupts: what comes
// within that time is read at once, and written at once. Packets that come alone, or seldom, never wait.

const (
	restInterval = 100 * time.Microsecond // from look to look
	leastRest    = 10 * time.Microsecond  // less is not worth it
	worthResting = 2                      // packets of a relay that a look finds
)

// A rest decides how long to wait before the next look.
type rest struct {
	last  time.Time
	train float64 // packets of a relay that a look finds, smoothed
}

// take rests if it is worth it.
func (r *rest) take() {
	if wait := r.due(time.Now()); wait > 0 {
		sleepExactly(wait)
	}
	r.last = time.Now()
}

// due is how long to rest.
func (r *rest) due(now time.Time) time.Duration {
	wait := restInterval - now.Sub(r.last)
	if r.train < worthResting || wait < leastRest {
		return 0
	}
	return wait
}

// found is told what a look found.
func (r *rest) found(relays, packets int) {
	if relays > 0 {
		r.train += (float64(packets)/float64(relays) - r.train) / 8
	}
}

// sleepExactly blocks the thread: Go's own timers have 1 ms. What else the thread could do waits for as long; other
// threads may take it.
func sleepExactly(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0) // 50 us otherwise; it is the thread's
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
