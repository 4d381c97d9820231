//go:build unix

package turntcp

import (
	"net"
	"syscall"
)

// nonBlocking writes what the kernel takes at once, where the connection is the kernel's.
type nonBlocking struct {
	raw syscall.RawConn // nil for other connections

	once func(fd uintptr) bool
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

// write returns how much was taken, which may be nothing.
func (w *nonBlocking) write(p []byte) (int, error) {
	if w.raw == nil || len(p) == 0 {
		return 0, nil
	}
	w.p = p
	err := w.raw.Write(w.once)
	w.p = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *nonBlocking) writeOnce(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.p)
		switch w.err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			w.err = nil
		}
		w.n = max(w.n, 0)
		return true
	}
}
