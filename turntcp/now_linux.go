//go:build !race

package turntcp

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls that do not wait are made without telling Go's scheduler, which would prepare for a thread
// that stays away.

// receiveNow reads what is there of a connection, or returns errNothingYet. At its end it returns 0.
func receiveNow(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, errNothingYet
		default:
			return 0, os.NewSyscallError("recvfrom", errno)
		}
	}
}

// sendNow writes what a connection takes at once, which may be nothing.
func sendNow(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("sendto", errno)
		}
	}
}
