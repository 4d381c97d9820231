package loadgen

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keepTime prepares this thread: its sleeps end within a microsecond of their time, instead of 50, and,
// where that is permitted (root, CAP_SYS_NICE), it goes before other ordinary threads and asks for short
// turns (Linux 6.12). Without the one or the other the pacer is a little later, which its lateness shows.
// A real-time policy would not do: where Go's runtime yields until an ordinary thread has let go of
// something, a real-time thread keeps that one from its CPU, and all stand still until the kernel's limit
// of 0.95 s in a second ends it.
func keepTime() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: -20, Runtime: 100_000}, 0)
}

// sleep blocks the thread, and keeps its place in the Go scheduler: who gives it up waits for another one
// on a machine that is busy, and the runtime's own timers are rounded to milliseconds by the poller. A
// signal, as the collector's, ends it early, and we look again.
func sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := unix.NsecToTimespec(int64(d))
	unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
}
