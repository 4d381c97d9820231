package loadgen

import (
	"net"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// droppedBy is how many packets the kernel had no room for on the socket, -1 where that is not known.
func droppedBy(conn *net.UDPConn) int64 {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1
	}
	var st unix.Stat_t
	if raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }) != nil || err != nil {
		return -1
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return -1
	}
	for _, table := range []func() (procfs.NetUDP, error){fs.NetUDP, fs.NetUDP6} {
		lines, _ := table() // one of them may be absent
		for _, l := range lines {
			if l.Inode == st.Ino && l.Drops != nil {
				return int64(*l.Drops)
			}
		}
	}
	return -1
}
