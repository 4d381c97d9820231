package conformance

import (
	"net"
	"net/netip"
	"syscall"
	"time"
)

// deafListener is a port whose queue of connections is full: what comes after them is kept waiting.
func deafListener(at netip.Addr) (peer netip.AddrPort, closing func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return peer, nil, err
	}
	var waiting []net.Conn
	closing = func() {
		_ = syscall.Close(fd)
		for _, nc := range waiting {
			nc.Close()
		}
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: at.As4()}); err == nil {
		err = syscall.Listen(fd, 0)
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		closing()
		return peer, nil, err
	}
	peer = netip.AddrPortFrom(at, uint16(name.(*syscall.SockaddrInet4).Port))
	for range 8 { // one fills it, in Linux
		nc, err := net.DialTimeout("tcp4", peer.String(), 100*time.Millisecond)
		if err != nil {
			return peer, closing, nil
		}
		waiting = append(waiting, nc)
	}
	closing()
	return peer, nil, syscall.ENOBUFS
}
