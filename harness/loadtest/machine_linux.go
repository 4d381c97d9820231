package loadtest

import (
	"fmt"
	"os"
	"runtime"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ThisMachine looks at this host. What cannot be read is 0.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0)}
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		m.Descriptors = int(min(l.Cur, 1<<30))
	}
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		var first, last int
		if n, _ := fmt.Sscan(string(text), &first, &last); n == 2 {
			m.Ports = last - first + 1
		}
	}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if info, err := fs.Meminfo(); err == nil && info.MemAvailableBytes != nil {
			m.Memory = int64(*info.MemAvailableBytes)
		}
	}
	return m
}

// DescriptorsOf is how many descriptors a process of this machine may have and how many it has.
func DescriptorsOf(pid int) (limit, used int, err error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, 0, err
	}
	p, err := fs.Proc(pid)
	if err != nil {
		return 0, 0, err
	}
	l, err := p.Limits()
	if err != nil {
		return 0, 0, err
	}
	used, err = p.FileDescriptorsLen()
	return int(min(l.OpenFiles, 1<<30)), used, err
}
