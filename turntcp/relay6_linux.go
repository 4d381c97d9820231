package turntcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveAlone delivers what is there, as much as receive would have room for.
func (r *relay) receiveAlone() (packets int, errno unix.Errno) {
	for packets < inboxSize {
		if errno = r.receiveOne(); errno != 0 {
			break
		}
		packets++
	}
	if packets > 0 {
		errno = 0
	}
	return packets, errno
}

// receiveOne delivers a datagram of an IPv6 relay. It needs memory only while there is one.
func (r *relay) receiveOne() unix.Errno {
	l := letters.Get().(*letter)
	defer letters.Put(l)
	var name unix.RawSockaddrInet6
	size := uint32(unix.SizeofSockaddrInet6)
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(r.fd), uintptr(unsafe.Pointer(&l.buf[0])), uintptr(len(l.buf)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	if errno == 0 {
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
		r.deliverAlone(netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port), l, int(n))
	}
	return errno
}

// sendOne sends a datagram from an IPv6 relay.
func (r *relay) sendOne(payload []byte, to netip.AddrPort) error {
	if !r.uses.begin() {
		return net.ErrClosed
	}
	defer r.done()
	name := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
	port := (*[2]byte)(unsafe.Pointer(&name.Port))[:]
	binary.BigEndian.PutUint16(port, to.Port())
	for attempt := 1; ; attempt++ {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(r.fd), uintptr(unsafe.Pointer(unsafe.SliceData(payload))), uintptr(len(payload)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), unix.SizeofSockaddrInet6)
		switch {
		case errno == 0:
			return nil
		case errno != unix.EAGAIN && errno != unix.EINTR, !r.awaitRoom(attempt):
			return errno
		}
	}
}
