package turntcp

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Segmentation (UDP_SEGMENT, UDP_GRO; udp(7)): datagrams of the same size to or from the same peer go
// through the kernel's network stack as one, which costs little more than a single one.

const (
	// maxSegments of one message; the kernels before 6.10 take no more.
	maxSegments = 64
	// maxSegmented in bytes is the payload of one message: with its headers it is one IP packet.
	maxSegmented = maxDatagram
)

// A segmentControl is the control message that carries the size of the segments, in bytes: 16 bits to be
// sent, 32 where received.
type segmentControl struct {
	unix.Cmsghdr
	size [8]byte
}

func (c *segmentControl) prepare() {
	c.Level = unix.IPPROTO_UDP
	c.Type = unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
}

func (c *segmentControl) attach(m *mmsghdr) {
	m.Control = (*byte)(unsafe.Pointer(c))
	m.SetControllen(int(unsafe.Sizeof(*c)))
}

// received is the size of the segments of a message, or 0 if it is one datagram.
func (c *segmentControl) received(m *mmsghdr) int {
	if m.Controllen < unix.SizeofCmsghdr || c.Level != unix.IPPROTO_UDP || c.Type != unix.UDP_GRO {
		return 0
	}
	return int(*(*int32)(unsafe.Pointer(&c.size)))
}

// group makes messages of the datagrams from first on, which begin at msgs[next]. A run of datagrams of
// the same size, up to largest, to the same peer becomes one; a shorter one may end it.
func (b *sendBatch) group(first, largest int) {
	if first == 0 {
		b.next = 0
	}
	b.count = b.next
	for first < b.n {
		n := b.run(first, largest)
		m := &b.msgs[b.count]
		m.Name = (*byte)(unsafe.Pointer(&b.names[first]))
		m.Iov = &b.iovs[first]
		m.SetIovlen(n)
		m.Control = nil
		m.SetControllen(0)
		if n > 1 {
			c := &b.controls[b.count]
			*(*uint16)(unsafe.Pointer(&c.size)) = uint16(b.iovs[first].Len)
			m.Control = (*byte)(unsafe.Pointer(c))
			m.SetControllen(unix.CmsgSpace(2))
		}
		b.count++
		first += n
	}
}

// run counts the datagrams from first on that may go as one.
func (b *sendBatch) run(first, largest int) int {
	size := int(b.iovs[first].Len)
	if size == 0 || size > largest {
		return 1
	}
	n, total := 1, size
	for n < maxSegments && first+n < b.n {
		next := int(b.iovs[first+n].Len)
		if next == 0 || next > size || total+next > maxSegmented || b.names[first+n] != b.names[first] {
			break
		}
		n++
		total += next
		if next < size {
			break
		}
	}
	return n
}

// cannotSegment tells whether a message failed because it was to be segmented, and remembers it: EMSGSIZE
// or EINVAL where a segment is larger than the path takes in one packet (loopback takes anything), EIO
// where the device cannot do it. Without segmentation the kernel may still fragment it.
func (r *relay) cannotSegment(errno unix.Errno, m *mmsghdr) bool {
	if m.Iovlen == 1 {
		return false
	}
	switch errno {
	case unix.EMSGSIZE, unix.EINVAL:
		r.largestSegment = int(m.Iov.Len) - 1
		return true
	case unix.EIO:
		r.largestSegment = 0
		return true
	}
	return false
}

// canSegment tells whether the kernel knows UDP_SEGMENT (since 4.18): one that does not would send the
// datagrams as a single one.
var canSegment = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	return err == nil
})

// segmentation lets a socket receive several datagrams as one (since Linux 5.0; best effort) and returns the
// largest segment to try when sending.
func segmentation(fd int) (largest int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	if !canSegment() {
		return 0
	}
	return maxSegmented
}
