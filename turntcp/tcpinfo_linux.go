package turntcp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// readTCPInfo asks the kernel: one system call.
func readTCPInfo(nc net.Conn) (info TCPInfo) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return info
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return info
	}
	_ = raw.Control(func(fd uintptr) { // fails on a closed connection only
		if i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			info.RTT = time.Duration(i.Rtt) * time.Microsecond
			info.RTTVariance = time.Duration(i.Rttvar) * time.Microsecond
			info.Retransmits = uint64(i.Total_retrans)
		}
	})
	return info
}
