package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// exactTimers makes this thread's sleeps end within a microsecond of their time, instead of 50.
func exactTimers() {
	// Without it sleeps are a little longer, which shows in the lateness.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// sleep blocks the thread: the runtime's own timers are rounded to milliseconds by the poller.
func sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := unix.NsecToTimespec(int64(d))
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &t, nil) // a signal ends it early, and we look again
}
