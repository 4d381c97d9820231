package loadtest

import (
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/loadgen"
)

func TestPreflight(t *testing.T) {
	big := Machine{Descriptors: 1 << 20, Ports: 64000, Memory: 64 << 30, Cores: 64}
	with := func(change func(*Machine)) Machine {
		m := big
		change(&m)
		return m
	}
	few := func(m *Machine) { m.Descriptors = 20000 }
	for _, c := range []struct {
		name      string
		profile   string
		calls     int
		processes int
		part      string
		machine   Machine
		problem   string
		warning   string
	}{
		{"enough", "720p", 1000, 1, "", big, "", ""},
		{"nothing known", "720p", 90000, 1, "", Machine{}, "", ""},
		{"19,000 of 20,000 descriptors", "idle", 19000, 1, "", with(few), "", ""},
		{"descriptors", "idle", 25000, 1, "", with(few), "25000 calls in a process need 25225 descriptors, and a process may have 20000 here: raise the limit (ulimit -n), or give --processes 3", ""},
		{"descriptors, of two processes", "idle", 25000, 2, "", with(few), "", ""},
		{"descriptors, of half of the calls", "idle", 25000, 1, "1/2", with(few), "", ""},
		{"ports", "idle", 30000, 4, "", with(func(m *Machine) { m.Ports = 28232 }), "30000 calls need as many ports", ""},
		{"memory", "audio", 40000, 1, "", with(func(m *Machine) { m.Memory = 2 << 30 }), "need about 3871 MB, and 2048 MB are free", ""},
		{"half of the memory", "audio", 40000, 1, "", with(func(m *Machine) { m.Memory = 7 << 30 }), "", "3871 MB of the 7168 MB"},
		{"cores", "720p", 600, 1, "", with(func(m *Machine) { m.Cores = 2 }), "", "needs about 2.0 cores; this host has 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := loadgen.FindProfile(c.profile)
			if err != nil {
				t.Fatal(err)
			}
			lt := &Test{Profile: p}
			if c.part != "" {
				if lt.Part, err = loadgen.ParsePart(c.part); err != nil {
					t.Fatal(err)
				}
			}
			problems, warnings := lt.Preflight([]loadgen.Step{{Calls: 1}, {Calls: c.calls}}, c.processes, c.machine)
			for _, got := range []struct {
				list []string
				want string
			}{{problems, c.problem}, {warnings, c.warning}} {
				if text := strings.Join(got.list, "\n"); (text == "") != (got.want == "") || !strings.Contains(text, got.want) {
					t.Errorf("got %q, want %q", text, got.want)
				}
			}
		})
	}
}

// What this machine has is known on Linux.
func TestThisMachine(t *testing.T) {
	if m := ThisMachine(); m.Cores < 1 || m.Descriptors == 0 || m.Ports == 0 || m.Memory == 0 {
		t.Errorf("got %+v", m)
	}
}
