package turntcp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitUnsent keeps little in the kernel that has not been sent yet, where it can no longer be
// dropped: a connection that is slower than its data takes no more than this, in bytes, and what one
// write adds. What is under way is not limited by it, so neither is the throughput. Best effort.
func limitUnsent(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxSegment)
	})
}
