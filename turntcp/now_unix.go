//go:build unix && (!linux || race)

package turntcp

import (
	"os"
	"syscall"
)

// The race detector learns from package syscall that who reads from a connection comes after who wrote to it.

// receiveNow reads what is there of a connection, or returns errNothingYet. At its end it returns 0.
func receiveNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, errNothingYet
		default:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// sendNow writes what a connection takes at once, which may be nothing.
func sendNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}
