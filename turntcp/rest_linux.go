package turntcp

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A wake-up costs more than relaying a packet, and who wakes up at the first packet of a train finds little of it. So a
// poller that has very much to do looks only so often, as network cards moderate their interrupts: what comes
// within that time is read at once, and written at once. With less to do, resting saves nothing.

const (
	restInterval = 100 * time.Microsecond // from look to look
	leastRest    = 10 * time.Microsecond  // less is not worth it
	worthResting = 150_000                // packets per second
	rateWindow   = 10 * time.Millisecond  // at least, in which they are counted
)

// A rest decides how long to wait before the next look.
type rest struct {
	last time.Time // a look

	begin   time.Time // of the counting
	packets int
	busy    bool
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
	if !r.busy || wait < leastRest {
		return 0
	}
	return wait
}

// found is told how many packets the last look brought.
func (r *rest) found(packets int) {
	r.packets += packets
	if counted := r.last.Sub(r.begin); counted >= rateWindow {
		r.busy = float64(r.packets) >= worthResting*counted.Seconds()
		r.begin, r.packets = r.last, 0
	}
}

// sleepExactly blocks the thread: Go's own timers have 1 ms. What else the thread could do waits for as long; other
// threads may take it.
func sleepExactly(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0) // 50 us otherwise; it is the thread's
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
