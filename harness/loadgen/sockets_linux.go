package loadgen

import "golang.org/x/sys/unix"

func (s *Sockets) look(fd int) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return
	}
	s.Add(Sockets{Looked: 1, RTT: float64(info.Rtt) / 1000, RTTMax: float64(info.Rtt) / 1000, Unsent: int64(info.Notsent_bytes), Retransmits: int64(info.Total_retrans)})
}
