package turntcp

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Many datagrams for one system call: recvmmsg(2) and sendmmsg(2). The batches are borrowed from
// pools while there is something in them, so an allocation at rest needs none.

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
	msgs  [sendBatchSize]mmsghdr
	iovs  [sendBatchSize]unix.Iovec
	names [sendBatchSize]unix.RawSockaddrInet4

	next  int // of those not sent yet
	sent  int // by the last call
	errno unix.Errno
	once  func(fd uintptr) bool
}

var sendBatches = sync.Pool{New: func() any {
	b := new(sendBatch)
	for i := range b.msgs {
		b.names[i].Family = unix.AF_INET
		b.msgs[i].Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.msgs[i].Namelen = unix.SizeofSockaddrInet4
		b.msgs[i].Iov = &b.iovs[i]
		b.msgs[i].SetIovlen(1)
	}
	b.once = b.sendOnce
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

// send sends all and empties the batch. What the kernel refuses is left out. It waits while the
// socket's buffer is full, until the relay is closed at most.
func (b *sendBatch) send(r *relay) (packets, bytes, failed int) {
	for b.next = 0; b.next < b.n; {
		if err := r.raw.Write(b.once); err != nil {
			failed += b.n - b.next
			break
		}
		if b.errno != 0 {
			failed++
			b.next++
			continue
		}
		for _, iov := range b.iovs[b.next : b.next+b.sent] {
			bytes += int(iov.Len)
		}
		packets += b.sent
		b.next += b.sent
	}
	for i := range b.iovs[:b.n] {
		b.iovs[i].Base = nil
	}
	b.n = 0
	return packets, bytes, failed
}

func (b *sendBatch) sendOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.msgs[b.next])), uintptr(b.n-b.next), 0, 0, 0)
		b.sent, b.errno = int(n), errno
		if errno != unix.EINTR {
			return errno != unix.EAGAIN
		}
	}
}

// An inbox is datagrams that have been received, and room for the frames that they become.
type inbox struct {
	n     int
	msgs  [inboxSize]mmsghdr
	iovs  [inboxSize]unix.Iovec
	names [inboxSize]unix.RawSockaddrInet4
	buf   []byte
	out   []byte
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
	}
	return in
}}

func (in *inbox) count() int { return in.n }

func (in *inbox) datagram(i int) (from netip.AddrPort, payload []byte) {
	a := &in.names[i]
	from = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), binary.BigEndian.Uint16(portBytes(a)))
	return from, in.buf[i*inboxStride:][:in.msgs[i].n]
}

func (in *inbox) receive(fd uintptr) unix.Errno {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.msgs[0])), inboxSize, unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			in.n = int(n)
			return errno
		}
	}
}

// batching is what a relay needs for its batches.
type batching struct {
	raw      syscall.RawConn
	readable func(fd uintptr) bool // receiveReady, made once
	broken   error
}

func (r *relay) prepare() (err error) {
	r.readable = r.receiveReady
	r.raw, err = r.UDPConn.SyscallConn()
	return err
}

// receive waits for datagrams and delivers them until the socket is closed or broken.
func (r *relay) receive() error {
	if err := r.raw.Read(r.readable); err != nil {
		return err
	}
	return r.broken
}

// receiveReady delivers what is there. It returns true to give up. After fewer datagrams than there
// was room for it returns false at once: the next one is an event of its own, so asking again would
// only cost a system call.
func (r *relay) receiveReady(fd uintptr) bool {
	for {
		in := inboxes.Get().(*inbox)
		errno := in.receive(fd)
		if errno == 0 {
			r.failures = 0
			r.deliver(in)
		}
		full := errno == 0 && in.n == inboxSize
		inboxes.Put(in)
		switch {
		case errno == unix.EAGAIN, errno == 0 && !full:
			return false
		case errno != 0:
			if r.failures++; r.failures == maxReadErrors {
				r.broken = errno
				return true
			}
		}
	}
}
