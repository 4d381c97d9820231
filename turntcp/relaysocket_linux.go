package turntcp

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A relaySocket is a relay's descriptor, which Go's own poller does not know: a poller of ours waits for it. The uses guard it.
type relaySocket struct {
	fd     int
	uses   uses
	poller *poller // that reads it; the pollers' lock guards it until they know the relay

	failures       int // to read, in a row; of the poller
	largestSegment int // in bytes, of what is sent by segmentation; of the goroutine that sends
}

func (s *relaySocket) listen(at netip.AddrPort) (err error) {
	family := unix.AF_INET
	if !at.Addr().Is4() {
		family = unix.AF_INET6
	}
	if s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	// Best effort: a refusal leaves the default, which only loses packets sooner.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, relayBuffer)
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, relayBuffer)
	if family == unix.AF_INET6 {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	} else {
		s.largestSegment = segmentation(s.fd)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(s.fd, sockaddr(at)))
	}
	if err != nil {
		unix.Close(s.fd)
	}
	return err
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// read has the relay read from now on until its end.
func (r *relay) read() error { return r.rs.pollers.add(r) }

// readSome delivers what is there, and tells whether there may be more. After fewer datagrams than there
// was room for it does not ask again: the next one is an event of its own.
func (r *relay) readSome() (packets int, more bool) {
	if !r.uses.begin() {
		return 0, false
	}
	defer r.done()
	receive := r.receive
	if !r.isIPv4() {
		receive = r.receiveAlone
	}
	packets, errno := receive()
	switch errno {
	case 0:
		r.failures = 0
		return packets, packets == inboxSize
	case unix.EAGAIN:
		return 0, false
	}
	if r.failures++; r.failures == maxReadErrors {
		r.broke(os.NewSyscallError("read", errno))
	}
	return 0, r.failures < maxReadErrors
}

// awaitRoom waits a little where the socket's buffer is full. It reports false if that has lasted for too long, or
// the relay has ended.
func (r *relay) awaitRoom(attempt int) bool {
	if attempt >= maxSendAttempts || r.uses.ended() {
		return false
	}
	time.Sleep(sendPause)
	return true
}

// A full buffer holds up the client, which is what it should do, for 0.2 s at most: later the data is not worth it.
const (
	sendPause       = time.Millisecond
	maxSendAttempts = 200
)

// end closes the descriptor once nobody uses it.
func (r *relay) end() error {
	if r.uses.end() {
		r.clear()
	}
	return nil
}

// done is called by who has used the descriptor.
func (r *relay) done() {
	if r.uses.done() {
		r.clear()
	}
}

func (r *relay) clear() {
	r.rs.pollers.remove(r)
	unix.Close(r.fd)
	r.gone()
}
