package turntcp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentLimit is in bytes. Each of them is a delay behind a slow link: 6 ms at 10 Mbit/s.
const unsentLimit = 8 << 10

// limitUnsent keeps little in the kernel that has not been sent yet, where it can no longer be
// dropped: a connection that is slower than its data takes no more than this, in bytes, and what one
// write adds. What is under way is not limited by it, so neither is the throughput. Best effort.
func limitUnsent(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
	})
}
