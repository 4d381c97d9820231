package turntcp

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Many datagrams for one system call: recvmmsg(2) and sendmmsg(2), and several in one message of those by
// segmentation (segment_linux.go). The batches are borrowed from pools while there is something in them,
// so an allocation at rest needs none.

const (
	sendBatchSize = 64
	inboxSize     = 32

	// maxDatagram is what UDP over IPv4 can carry, in bytes.
	maxDatagram = 65507

	// inboxStride is not a power of two, so that the datagrams do not compete for the same cache lines.
	inboxStride = maxDatagram + 1 + 33*64 + 28
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

// portBytes is the port of a sockaddr in the order of the network.
func portBytes(a *unix.RawSockaddrInet4) []byte {
	return (*[2]byte)(unsafe.Pointer(&a.Port))[:]
}

// A sendBatch is datagrams to be sent from one socket. It refers to the payloads, it has no copies.
type sendBatch struct {
	n     int
	iovs  [sendBatchSize]unix.Iovec
	names [sendBatchSize]unix.RawSockaddrInet4

	// What send makes of them: messages of one datagram, or of several.
	count    int
	msgs     [sendBatchSize]mmsghdr
	controls [sendBatchSize]segmentControl

	next  int // of the messages that are not sent yet
	sent  int // messages, by the last call
	errno unix.Errno
}

var sendBatches = sync.Pool{New: func() any {
	b := new(sendBatch)
	for i := range b.msgs {
		b.names[i].Family = unix.AF_INET
		b.msgs[i].Namelen = unix.SizeofSockaddrInet4
		b.controls[i].prepare()
	}
	return b
}}

// add takes a datagram to an IPv4 address. There must be room.
func (b *sendBatch) add(to netip.AddrPort, payload []byte) {
	iov := &b.iovs[b.n]
	iov.Base = unsafe.SliceData(payload)
	iov.SetLen(len(payload))
	b.names[b.n].Addr = to.Addr().As4()
	binary.BigEndian.PutUint16(portBytes(&b.names[b.n]), to.Port())
	b.n++
}

func (b *sendBatch) full() bool { return b.n == sendBatchSize }

// send sends all and empties the batch. What the kernel refuses is left out. It waits for a short time while the
// socket's buffer is full.
func (b *sendBatch) send(r *relay) (packets, bytes, failed int) {
	if r.uses.begin() {
		packets, bytes, failed = b.sendAll(r)
		r.done()
	} else {
		failed = b.n
	}
	for i := range b.iovs[:b.n] {
		b.iovs[i].Base = nil
	}
	b.n = 0
	return packets, bytes, failed
}

func (b *sendBatch) sendAll(r *relay) (packets, bytes, failed int) {
	b.group(0, r.largestSegment)
	attempts := 0
	for first := 0; first < b.n; { // the datagram that msgs[next] begins with
		b.sendOnce(uintptr(r.fd))
		if b.errno == unix.EAGAIN {
			if attempts++; !r.awaitRoom(attempts) {
				return packets, bytes, failed + b.n - first
			}
			continue
		}
		if b.errno != 0 {
			if r.cannotSegment(b.errno, &b.msgs[b.next]) {
				b.group(first, r.largestSegment)
				continue
			}
			failed += int(b.msgs[b.next].Iovlen)
			first += int(b.msgs[b.next].Iovlen)
			b.next++
			continue
		}
		for range b.sent {
			for range b.msgs[b.next].Iovlen {
				bytes += int(b.iovs[first].Len)
				packets++
				first++
			}
			b.next++
		}
	}
	return packets, bytes, failed
}

// sendOnce makes one system call. For one datagram sendto has less to look at.
func (b *sendBatch) sendOnce(fd uintptr) {
	for {
		var n uintptr
		m := &b.msgs[b.next]
		if b.count-b.next == 1 && m.Iovlen == 1 {
			_, _, b.errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(m.Iov.Base)), uintptr(m.Iov.Len), unix.MSG_DONTWAIT,
				uintptr(unsafe.Pointer(m.Name)), unix.SizeofSockaddrInet4)
			n = 1
		} else {
			n, _, b.errno = unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(m)), uintptr(b.count-b.next), unix.MSG_DONTWAIT, 0, 0)
		}
		b.sent = int(n)
		if b.errno != unix.EINTR {
			return
		}
	}
}

// An inbox is datagrams that have been received, and room for the frames that they become.
type inbox struct {
	n        int
	msgs     [inboxSize]mmsghdr
	iovs     [inboxSize]unix.Iovec
	names    [inboxSize]unix.RawSockaddrInet4
	controls [inboxSize]segmentControl
	buf      []byte
	out      []byte
}

var inboxes = sync.Pool{New: func() any {
	in := &inbox{buf: make([]byte, inboxSize*inboxStride)}
	for i := range in.msgs {
		in.iovs[i].Base = &in.buf[i*inboxStride]
		in.iovs[i].SetLen(maxDatagram)
		in.msgs[i].Name = (*byte)(unsafe.Pointer(&in.names[i]))
		in.msgs[i].Namelen = unix.SizeofSockaddrInet4
		in.msgs[i].Iov = &in.iovs[i]
		in.msgs[i].SetIovlen(1)
		in.controls[i].attach(&in.msgs[i])
	}
	return in
}}

// count is how many messages there are, each of one datagram or of several from the same peer.
func (in *inbox) count() int { return in.n }

// message returns datagrams that came from one peer, one after the other, each of the size given but the
// last, which may be shorter.
func (in *inbox) message(i int) (from netip.AddrPort, datagrams []byte, size int) {
	a := &in.names[i]
	from = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), binary.BigEndian.Uint16(portBytes(a)))
	datagrams = in.buf[i*inboxStride:][:in.msgs[i].n]
	if size = in.controls[i].received(&in.msgs[i]); size == 0 {
		size = len(datagrams)
	}
	return from, datagrams, size
}

func (in *inbox) receive(fd uintptr) unix.Errno {
	for i := range in.n {
		in.controls[i].attach(&in.msgs[i]) // the kernel has shortened it
	}
	in.n = 0
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.msgs[0])), inboxSize, unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			in.n = int(n)
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// receive delivers what is there, as much as there is room for.
func (r *relay) receive() (packets int, errno unix.Errno) {
	in := inboxes.Get().(*inbox)
	defer inboxes.Put(in)
	if errno = in.receive(uintptr(r.fd)); errno == 0 {
		r.deliver(in)
		packets = in.n
	}
	return packets, errno
}
