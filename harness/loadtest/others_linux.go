package loadtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// others watches who takes this machine's CPU: this program, the proxy and the TURN server, each with
// all its descendants, or somebody else.
//
//	host.idle_cores   CPU time of the machine that nobody took, per second
//	host.other_cores  that of other programs, and what the hypervisor took; not that of interrupts, which is whose packets come
//
// The second is there only where it is known which programs the proxy and the TURN server are.
type others struct {
	fs    procfs.FS
	roots []int // of ours
	known bool

	last machineTime
	at   time.Time
}

// machineTime is CPU time in seconds since some beginning.
type machineTime struct{ idle, programs, ours float64 }

// watchOthers begins to watch. unknown says what keeps us from knowing, if anything does.
func (t *Test) watchOthers(ctx context.Context) (w Watch, unknown string) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, "whether other programs took this machine's CPU: " + err.Error()
	}
	o := &others{fs: fs, roots: []int{os.Getpid()}, known: true}
	for _, watched := range t.Watches {
		if p, is := watched.(*processTree); is {
			o.roots = append(o.roots, p.root)
		}
	}
	if len(o.roots) == 1 && t.Path.Proxy != "" { // nobody has named it
		unknown = o.find(ctx, "the proxy", t.proxyAddress())
	}
	if server := o.find(ctx, "the TURN server", t.TURN.Address); unknown == "" {
		unknown = server
	}
	o.known = unknown == ""
	return o, unknown
}

// find looks for the programs that listen at an address of this machine.
func (o *others) find(ctx context.Context, who, address string) (unknown string) {
	if !mayBeHere(ctx, address) {
		return ""
	}
	found, err := o.listeners(address)
	if err != nil || len(found) == 0 {
		why := "which process it is"
		if err != nil {
			why = err.Error()
		}
		return fmt.Sprintf("whether other programs took this machine's CPU: %s may run here, and it is not known %s (the proxy's is named by --proxy-pid)", who, why)
	}
	o.roots = append(o.roots, found...)
	return ""
}

// mayBeHere tells that an address is of this machine, or reached by an interface without a device, behind
// which containers and namespaces are.
func mayBeHere(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address) // which sends nothing
	if err != nil {
		return true
	}
	defer conn.Close()
	ours, theirs := conn.LocalAddr().(*net.UDPAddr).IP, conn.RemoteAddr().(*net.UDPAddr).IP
	if theirs.IsLoopback() || theirs.Equal(ours) {
		return true
	}
	all, err := net.Interfaces()
	if err != nil {
		return true
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return hasAddress(i, ours) })
	if i < 0 {
		return true
	}
	_, err = os.Stat("/sys/class/net/" + all[i].Name + "/device")
	return err != nil
}

func hasAddress(i net.Interface, ip net.IP) bool {
	addrs, err := i.Addrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, is := a.(*net.IPNet)
		return is && n.IP.Equal(ip)
	})
}

// listeners are the processes that have a socket which listens at the port. Root finds those of all users.
func (o *others) listeners(address string) (pids []int, err error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	sockets := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if text, err := os.ReadFile(table); err == nil { // a kernel may be without IPv6
			listening(string(text), port, sockets)
		}
	}
	if len(sockets) == 0 {
		return nil, nil
	}
	all, err := o.fs.AllProcs()
	for _, p := range all {
		// One that may not be looked at, or has ended, is not found.
		files, _ := p.FileDescriptorTargets()
		if p.PID != 1 && slices.ContainsFunc(files, func(f string) bool { return sockets[f] }) {
			pids = append(pids, p.PID)
		}
	}
	return pids, err
}

// listening takes from one of the kernel's tables the sockets that listen at a port, as /proc/PID/fd names
// them. The fields are those of proc_pid_net(5): local address and port in hexadecimal, state, inode.
func listening(table string, port uint64, sockets map[string]bool) {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
			sockets["socket:["+f[9]+"]"] = true
		}
	}
}

// Sample implements Watch.
func (o *others) Sample(context.Context) (map[string]float64, error) {
	now, err := o.look()
	if err != nil {
		return nil, err
	}
	values, before := make(map[string]float64), o.last
	if seconds := time.Since(o.at).Seconds(); !o.at.IsZero() {
		values["host.idle_cores"] = max(0, now.idle-before.idle) / seconds
		if o.known {
			values["host.other_cores"] = max(0, now.programs-before.programs-max(0, now.ours-before.ours)) / seconds
		}
	}
	o.last, o.at = now, time.Now()
	return values, nil
}

func (o *others) look() (m machineTime, err error) {
	stat, err := o.fs.Stat()
	if err != nil {
		return m, err
	}
	c := stat.CPUTotal
	m.idle, m.programs = c.Idle+c.Iowait, c.User+c.Nice+c.System+c.Steal
	if !o.known {
		return m, nil
	}
	all, err := o.fs.AllProcs()
	if err != nil {
		return m, err
	}
	for _, s := range descendants(stats(all), o.roots) {
		m.ours += s.CPUTime() + float64(s.CUTime+s.CSTime)/ticks // of children that have ended, too
	}
	return m, nil
}

// ticks per second are what /proc counts in, on every Linux.
const ticks = 100

func stats(all []procfs.Proc) map[int]procfs.ProcStat {
	list := make(map[int]procfs.ProcStat, len(all))
	for _, p := range all {
		if s, err := p.Stat(); err == nil { // else it has ended
			list[p.PID] = s
		}
	}
	return list
}

// descendants are those of the roots, and these.
func descendants(all map[int]procfs.ProcStat, roots []int) (list []procfs.ProcStat) {
	for pid, s := range all {
		for at, depth := pid, 0; at > 1 && depth < 100; at, depth = all[at].PPID, depth+1 {
			if slices.Contains(roots, at) {
				list = append(list, s)
				break
			}
		}
	}
	return list
}
