//go:build unix

package turntcp

import (
	"io"
	"net"
	"os"
	"syscall"
)

// nonBlocking reads and writes what the kernel has and takes at once, where the connection is the kernel's.
type nonBlocking struct {
	raw syscall.RawConn // nil for other connections

	once func(fd uintptr)
	p    []byte
	n    int
	err  error
}

func (w *nonBlocking) prepare(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			w.raw, w.once = raw, w.writeOnce
			limitUnsent(raw)
		}
	}
}

// write returns how much was taken, which may be nothing. The caller is the only one to write.
func (w *nonBlocking) write(p []byte) (int, error) {
	if w.raw == nil || len(p) == 0 {
		return 0, nil
	}
	w.p = p
	err := w.raw.Control(w.once)
	w.p = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *nonBlocking) writeOnce(fd uintptr) { w.n, w.err = sendNow(fd, w.p) }

// canAwait tells whether await may be used.
func (w *nonBlocking) canAwait() bool { return w.raw != nil }

// await calls ready at once, and then when there is something new to read, until it returns true or the
// deadline passes.
func (w *nonBlocking) await(ready func(fd uintptr) bool) error { return w.raw.Read(ready) }

// peek looks whether there is something to read: nil for data, errNothingYet, or the end.
func (w *nonBlocking) peek() (err error) {
	var n int
	var failed error
	err = w.raw.Control(func(fd uintptr) { n, failed = peekNow(fd, make([]byte, 1)) })
	switch {
	case err != nil:
		return err
	case failed == nil && n == 0:
		return io.EOF
	}
	return failed
}

// peekNow reads what is there of a connection and leaves it there, or returns errNothingYet.
func peekNow(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, errNothingYet
		default:
			return 0, os.NewSyscallError("recvfrom", err)
		}
	}
}
