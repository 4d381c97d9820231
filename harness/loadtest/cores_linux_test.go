package loadtest

import (
	"os"
	"runtime"
	"testing"
	"testing/fstest"
)

func TestQuota(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	v2 := fstest.MapFS{
		"system.slice/cpu.max":               file("150000 100000\n"),
		"system.slice/squid.service/cpu.max": file("20000 100000\n"),
		"system.slice/other.service/cpu.max": file("max 100000\n"),
		"broken/cpu.max":                     file("20000 0\n"),
	}
	v1 := fstest.MapFS{
		"cpu.cfs_quota_us": file("-1\n"), "cpu.cfs_period_us": file("100000\n"),
		"lab/cpu.cfs_quota_us": file("5000\n"), "lab/cpu.cfs_period_us": file("20000\n"),
	}
	for _, c := range []struct {
		name  string
		mount fstest.MapFS
		group string
		want  float64
	}{
		{"v2", v2, "/system.slice/squid.service", 0.2},
		{"v2, of the one above", v2, "/system.slice/other.service", 1.5},
		{"v2, none", v2, "/user.slice", 0},
		{"v2, root", v2, "/", 0},
		{"v2, not to be divided by", v2, "/broken", 0},
		{"outside of what is mounted", v2, "/../..", 0},
		{"v1", v1, "/lab", 0.25},
		{"v1, none", v1, "/", 0},
	} {
		if got := quota(c.mount, c.group); got != c.want {
			t.Errorf("%s: %v cores, want %v", c.name, got, c.want)
		}
	}
}

func TestCoresOf(t *testing.T) {
	got, err := CoresOf(os.Getpid())
	if err != nil || got <= 0 || got > float64(runtime.NumCPU()) {
		t.Errorf("this process may use %v cores, %v; the machine has %d", got, err, runtime.NumCPU())
	}
	if got, err := CoresOf(-1); err == nil {
		t.Errorf("process -1 may use %v cores", got)
	}
}
