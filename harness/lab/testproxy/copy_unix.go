//go:build unix

package testproxy

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyFlow copies as io.Copy does, with a buffer only while there is something to copy. io.Copy would
// splice, and hold a pipe for each direction of a tunnel at rest: six descriptors for every tunnel
// instead of two.
func copyFlow(dst io.Writer, src io.Reader) (n int64, err error) {
	tcp, ok := src.(*net.TCPConn)
	if !ok {
		return io.Copy(dst, src)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	r := &rawReader{}
	read := r.read // once, not for each piece
	for {
		if err := raw.Read(read); err != nil {
			return n, err
		}
		if r.err != nil || r.n <= 0 {
			r.release()
			return n, r.err
		}
		written, err := dst.Write(r.b[:r.n])
		r.release()
		n += int64(written)
		if err != nil {
			return n, err
		}
	}
}

// A rawReader reads what is there.
type rawReader struct {
	b   *[32 << 10]byte
	n   int
	err error
}

// read reports false if there is nothing yet.
func (r *rawReader) read(fd uintptr) bool {
	r.b = buffers.Get().(*[32 << 10]byte)
	for {
		r.n, r.err = syscall.Read(int(fd), r.b[:])
		switch r.err {
		case nil:
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			r.release()
			return false
		default:
			r.err = os.NewSyscallError("read", r.err)
			return true
		}
	}
}

func (r *rawReader) release() {
	buffers.Put(r.b)
	r.b = nil
}
