//go:build unix

package turntcp

import (
	"io"
	"net"
)

// canPeek tells whether peekByte can look into a connection as it is.
func canPeek(nc net.Conn) bool {
	_, ok := nc.(*net.TCPConn)
	return ok
}

func peekTCP(nc *net.TCPConn) (byte, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var first [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = peekNow(fd, first[:])
		return failed != errNothingYet
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	case n == 0:
		return 0, io.EOF
	}
	return first[0], nil
}
