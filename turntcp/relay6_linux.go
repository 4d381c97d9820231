package turntcp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveAlone waits for datagrams of an IPv6 relay and delivers them until the socket is closed or
// broken. It needs memory only while there is one.
func (r *relay) receiveAlone() error {
	var broken error
	failures := 0
	err := r.raw.Read(func(fd uintptr) bool {
		for {
			errno := r.receiveOne(fd)
			switch {
			case errno == 0:
				failures = 0
			case errno == unix.EAGAIN:
				return false
			case errno != unix.EINTR:
				if failures++; failures == maxReadErrors {
					broken = errno
					return true
				}
			}
		}
	})
	if err != nil {
		return err
	}
	return broken
}

func (r *relay) receiveOne(fd uintptr) unix.Errno {
	l := letters.Get().(*letter)
	defer letters.Put(l)
	var name unix.RawSockaddrInet6
	size := uint32(unix.SizeofSockaddrInet6)
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&l.buf[0])), uintptr(len(l.buf)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	if errno == 0 {
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
		r.deliverAlone(netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port), l, int(n))
	}
	return errno
}
