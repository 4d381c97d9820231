package loadtest

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// used is what a process has used since it began.
type used struct{ cpu, switches, waited float64 }

// A processTree watches a process and its descendants: Squid's workers, authentication helpers.
type processTree struct {
	fs   procfs.FS
	root int
	last map[int]used // by process
	busy float64      // CPU seconds of the machine
	at   time.Time
}

// WatchProcess watches a process of this machine with all its descendants:
//
//	proc.cpu_cores          CPU time of the process itself, per second
//	proc.helpers_cpu_cores  that of its descendants
//	proc.rss_bytes          resident memory, all together; shared pages count for each
//	proc.largest_rss_bytes  that of the largest one
//	proc.waited_cores       time that the process's first thread could have run and did not, per second
//	proc.fds, proc.fd_limit descriptors of the process itself, and how many it may have
//	proc.processes          how many there are
//	host.cpu_cores          CPU time of the whole machine, everything on it, per second
//	host.memory_bytes       how much memory the machine has
//	proc.switches_per_s     context switches of their first threads
func WatchProcess(pid int) (Watch, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	if _, err := fs.Proc(pid); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return &processTree{fs: fs, root: pid}, nil
}

// Sample implements Watch.
func (t *processTree) Sample(context.Context) (map[string]float64, error) {
	all, err := t.tree()
	if err != nil {
		return nil, err
	}
	now, values := time.Now(), map[string]float64{"proc.processes": float64(len(all))}
	uses := make(map[int]used)
	var own, helpers used
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil {
			continue // it has ended meanwhile
		}
		rss := float64(stat.ResidentMemory())
		values["proc.rss_bytes"] += rss
		values["proc.largest_rss_bytes"] = max(values["proc.largest_rss_bytes"], rss)
		u := used{cpu: stat.CPUTime(), switches: switches(p), waited: waited(p)}
		uses[p.PID] = u
		// One that is new has used what it has since it was made, which is since the last look.
		sum := &helpers
		if p.PID == t.root {
			sum = &own
			t.descriptors(p, values)
		}
		sum.cpu += u.cpu - t.last[p.PID].cpu
		sum.switches += u.switches - t.last[p.PID].switches
		sum.waited += u.waited - t.last[p.PID].waited
	}
	if m, err := t.fs.Meminfo(); err == nil && m.MemTotalBytes != nil {
		values["host.memory_bytes"] = float64(*m.MemTotalBytes)
	}
	busy := t.busySeconds()
	if seconds := now.Sub(t.at).Seconds(); t.last != nil {
		if busy > 0 && t.busy > 0 {
			values["host.cpu_cores"] = (busy - t.busy) / seconds
		}
		values["proc.cpu_cores"] = own.cpu / seconds
		values["proc.helpers_cpu_cores"] = helpers.cpu / seconds
		values["proc.waited_cores"] = own.waited / seconds
		values["proc.switches_per_s"] = (own.switches + helpers.switches) / seconds
	}
	t.last, t.busy, t.at = uses, busy, now
	return values, nil
}

// switches are those of a process's first thread, which is all that Linux adds up for it.
func switches(p procfs.Proc) float64 {
	s, err := p.NewStatus()
	if err != nil {
		return 0
	}
	return float64(s.VoluntaryCtxtSwitches + s.NonVoluntaryCtxtSwitches)
}

// waited is the time in seconds that a process's first thread spent in the run queue.
func waited(p procfs.Proc) float64 {
	s, err := p.Schedstat()
	if err != nil {
		return 0
	}
	return float64(s.WaitingNanoseconds) / 1e9
}

// busySeconds is what all CPUs together have spent on anything; 0 if it is not known.
func (t *processTree) busySeconds() float64 {
	stat, err := t.fs.Stat()
	if err != nil {
		return 0
	}
	c := stat.CPUTotal
	return c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal
}

func (t *processTree) descriptors(p procfs.Proc, values map[string]float64) {
	if n, err := p.FileDescriptorsLen(); err == nil {
		values["proc.fds"] = float64(n)
	}
	if l, err := p.Limits(); err == nil {
		values["proc.fd_limit"] = float64(l.OpenFiles)
	}
}

// tree is the root with its descendants.
func (t *processTree) tree() ([]procfs.Proc, error) {
	all, err := t.fs.AllProcs()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]procfs.Proc)
	var found []procfs.Proc
	for _, p := range all {
		if p.PID == t.root {
			found = append(found, p)
		}
		if stat, err := p.Stat(); err == nil {
			children[stat.PPID] = append(children[stat.PPID], p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("process %d, the proxy's, has ended", t.root)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].PID]...)
	}
	return found, nil
}
