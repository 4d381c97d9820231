//go:build linux

package main

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turngate/turngate/turntcp"
)

// A counter takes a connection over from the client that has set it up, and counts the bytes of the frames
// that come. It does not decrypt them: a load that did would need more of its core than a server needs to
// encrypt, and then it is the load that is measured.
type counter struct {
	net.Conn
	bytes    *atomic.Uint64
	buf      []byte // of all counters, which share a CPU: nothing in it is looked at again
	secure   bool
	overhead uint64  // of a TLS record's body, in bytes
	header   [5]byte // of a TLS record (RFC 8446 section 5.2)
	have     int     // of the header
	left     int     // of the record
	raw      syscall.RawConn
	done     chan struct{}
}

// handover is a connection that its first owner does not close.
type handover struct{ net.Conn }

func (handover) Close() error { return nil }

// takeOver ends a client whose connection is a handover, and counts what comes on that.
func takeOver(c *turntcp.Client, nc net.Conn, bytes *atomic.Uint64, buf []byte) (*counter, error) {
	_ = nc.SetReadDeadline(time.Unix(1, 0)) // nothing is under way
	<-c.Done()
	_ = nc.SetReadDeadline(time.Time{})
	n := &counter{Conn: nc, bytes: bytes, buf: buf, done: make(chan struct{})}
	below := nc
	if s, ok := nc.(*tls.Conn); ok {
		if n.overhead = overhead(s.ConnectionState()); n.overhead == 0 {
			return nil, fmt.Errorf("cannot count the data of %s", tls.CipherSuiteName(s.ConnectionState().CipherSuite))
		}
		n.secure, below = true, s.NetConn()
	}
	var err error
	if n.raw, err = below.(*net.TCPConn).SyscallConn(); err != nil {
		return nil, err
	}
	// A server would wait for a load that is held up, and drop what becomes old.
	_ = n.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, peerBuffer) // where we are root
	})
	go n.read()
	return n, nil
}

// wakeAt has the counter woken up when so many bytes have come. What it counts nobody waits for, and a load that is woken
// for each write of a server's has less of its CPU left to send.
func (c *counter) wakeAt(bytes int) (err error) {
	if failed := c.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
	}); failed != nil {
		return failed
	}
	return err
}

// Close waits for the goroutine that reads.
func (c *counter) Close() error {
	err := c.Conn.Close()
	<-c.done
	return err
}

func (c *counter) read() {
	defer close(c.done)
	_ = c.raw.Read(func(fd uintptr) bool { // until it is closed
		for {
			n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&c.buf[0])), uintptr(len(c.buf)), unix.MSG_DONTWAIT, 0, 0)
			switch {
			case errno == unix.EAGAIN:
				return false
			case errno != 0 || n == 0:
				return true
			case c.secure:
				c.bytes.Add(c.plain(c.buf[:n]))
			default:
				c.bytes.Add(uint64(n))
			}
			if int(n) < len(c.buf) {
				return false
			}
		}
	})
}

// overhead is what a record has beside its data: a tag, and in TLS 1.3 its type, in TLS 1.2 the nonce of GCM
// (RFC 8446 section 5.2, RFC 5288, RFC 7905). It is 0 for other suites.
func overhead(state tls.ConnectionState) uint64 {
	suite := tls.CipherSuiteName(state.CipherSuite)
	switch {
	case state.Version == tls.VersionTLS13:
		return 1 + 16
	case strings.Contains(suite, "GCM"):
		return 8 + 16
	case strings.Contains(suite, "CHACHA20"):
		return 16
	}
	return 0
}

// plain is how much data is in the records that end in p.
func (c *counter) plain(p []byte) (bytes uint64) {
	for len(p) > 0 {
		n := 0
		if c.have < len(c.header) {
			n = copy(c.header[c.have:], p)
			c.have += n
			c.left = int(binary.BigEndian.Uint16(c.header[3:]))
		} else {
			n = min(c.left, len(p))
			c.left -= n
		}
		if p = p[n:]; c.have == len(c.header) && c.left == 0 {
			c.have = 0
			bytes += uint64(binary.BigEndian.Uint16(c.header[3:])) - c.overhead
		}
	}
	return bytes
}
