package loadtest

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// CoresOf is how much CPU a process of this machine may use, in cores: the CPUs that it may run on, or
// what its control groups leave it, if that is less (cpu.max of cgroup v2, cpu.cfs_quota_us of v1, as
// systemd's CPUQuota= and containers set them).
func CoresOf(pid int) (float64, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	p, err := proc.Proc(pid)
	if err != nil {
		return 0, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return 0, err
	}
	cores := float64(len(status.CpusAllowedList))
	groups, err := p.Cgroups()
	if err != nil {
		return 0, err
	}
	mounts, err := proc.GetMounts()
	if err != nil {
		return 0, err
	}
	for _, g := range groups {
		for _, m := range mounts {
			if ofCPU(g, m) {
				cores = least(cores, quota(os.DirFS(m.MountPoint), g.Path))
			}
		}
	}
	return cores, nil
}

// ofCPU tells that a mount shows a control group that may limit CPU.
func ofCPU(g procfs.Cgroup, m *procfs.MountInfo) bool {
	if m.FSType == "cgroup2" {
		return g.HierarchyID == 0
	}
	_, has := m.SuperOptions["cpu"]
	return m.FSType == "cgroup" && has && slices.Contains(g.Controllers, "cpu")
}

// quota is the least that a group and those above it leave, in cores; 0 is no limit.
func quota(mount fs.FS, group string) (cores float64) {
	for dir := strings.TrimPrefix(path.Clean("/"+group), "/"); ; dir = path.Dir(dir) {
		dir = cmp.Or(dir, ".")
		v2 := numbers(mount, path.Join(dir, "cpu.max")) // "max 100000" has none
		v1 := append(numbers(mount, path.Join(dir, "cpu.cfs_quota_us")), numbers(mount, path.Join(dir, "cpu.cfs_period_us"))...)
		for _, v := range [][]float64{v2, v1} {
			if len(v) == 2 && v[0] > 0 && v[1] > 0 {
				cores = least(cores, v[0]/v[1])
			}
		}
		if dir == "." {
			return cores
		}
	}
}

// numbers reads the numbers of a file; without one that is none, or of one that is not there, it is nil.
func numbers(files fs.FS, name string) (list []float64) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(text)) {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil
		}
		list = append(list, v)
	}
	return list
}

// least of two, of which 0 is unknown.
func least(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
