//go:build linux

package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A peer is the other end of all relays: it counts what comes, and sends. It uses recvmmsg and sendmmsg, so
// that the load's core is not the bottleneck, but no GSO and no GRO, as an ordinary peer.
type peer struct {
	*net.UDPConn
	addr     netip.AddrPort
	raw      syscall.RawConn
	received atomic.Uint64
	done     chan struct{}
}

const (
	peerBuffer = 4 << 20
	peerBatch  = 64
)

func newPeer() (*peer, error) {
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = u.SetReadBuffer(peerBuffer)
	_ = u.SetWriteBuffer(peerBuffer)
	raw, err := u.SyscallConn()
	if err != nil {
		u.Close()
		return nil, err
	}
	p := &peer{UDPConn: u, addr: u.LocalAddr().(*net.UDPAddr).AddrPort(), raw: raw, done: make(chan struct{})}
	go p.count()
	return p, nil
}

// close ends the peer and waits for its goroutine.
func (p *peer) close() { p.UDPConn.Close(); <-p.done }

type mmsghdr struct {
	unix.Msghdr
	n uint32
}

// count reads without copying more than a byte of each datagram.
func (p *peer) count() {
	defer close(p.done)
	var msgs [peerBatch]mmsghdr
	var iovs [peerBatch]unix.Iovec
	var bytes [peerBatch]byte
	for i := range msgs {
		iovs[i].Base = &bytes[i]
		iovs[i].SetLen(1)
		msgs[i].Iov = &iovs[i]
		msgs[i].SetIovlen(1)
	}
	_ = p.raw.Read(func(fd uintptr) bool {
		for {
			n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&msgs[0])), peerBatch, unix.MSG_DONTWAIT, 0, 0)
			if errno != 0 {
				return false
			}
			p.received.Add(uint64(n))
			if n < peerBatch {
				return false
			}
		}
	})
}

// got counts what the peer was sent, also what its own buffer had no room for: that was relayed.
func (p *peer) got() (uint64, error) {
	var dropped uint64
	err := p.raw.Control(func(fd uintptr) {
		var info [9]uint32 // SK_MEMINFO_DROPS is the last
		size := uint32(unsafe.Sizeof(info))
		if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); errno == 0 {
			dropped = uint64(info[8])
		}
	})
	return p.received.Load() + dropped, err
}

// A train is datagrams to one address, sent at once.
type train struct {
	peer *peer
	to   unix.RawSockaddrInet4
	iov  unix.Iovec
	msgs []mmsghdr
	sent int
	once func(fd uintptr) bool
}

func newTrain(p *peer, to netip.AddrPort, n, size int) *train {
	t := &train{peer: p, msgs: make([]mmsghdr, n)}
	t.to = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&t.to.Port))[:], to.Port())
	t.iov.Base = &make([]byte, size)[0]
	t.iov.SetLen(size)
	for i := range t.msgs {
		m := &t.msgs[i]
		m.Name, m.Namelen = (*byte)(unsafe.Pointer(&t.to)), unix.SizeofSockaddrInet4
		m.Iov = &t.iov
		m.SetIovlen(1)
	}
	t.once = func(fd uintptr) bool {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&t.msgs[0])), uintptr(len(t.msgs)), unix.MSG_DONTWAIT, 0, 0)
		t.sent = 0
		if errno == 0 {
			t.sent = int(n)
		}
		return true
	}
	return t
}

// send returns how many the kernel took.
func (t *train) send() (int, error) {
	err := t.peer.raw.Write(t.once)
	return t.sent, err
}
