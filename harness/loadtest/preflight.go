package loadtest

import (
	"fmt"

	"github.com/turngate/turngate/harness/loadgen"
)

// A Machine is what this host has for generating load; 0 is not known.
type Machine struct {
	Descriptors int   // that one process may have
	Ports       int   // for connections to one address
	Memory      int64 // bytes that are free
	Cores       int
}

// What a generator needs. The figures are rounded up from docs/load.md's.
const (
	spareDescriptors = 100        // the runtime's, files, probes
	callsPerFar      = 200        // far ends that share a connection
	idleBytes        = 25_000     // of memory, for a tunnel that is silent
	mediaBytes       = 100_000    // for one with media
	baseBytes        = 60_000_000 // for a process
	packetsPerCore   = 60_000     // sent, and as many received
)

// Preflight says before a run what will keep this host from offering its largest step, divided among
// so many processes: problems make it void for certain, warnings may.
func (t *Test) Preflight(steps []loadgen.Step, processes int, m Machine) (problems, warnings []string) {
	most := 0
	for _, s := range steps {
		most = max(most, s.Calls)
	}
	calls := t.Part.Share(most)
	each := (calls + processes - 1) / processes
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	warning := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }

	fars := (each + callsPerFar - 1) / callsPerFar
	if t.Peer.IsValid() {
		fars = 0
	}
	if need := each + fars + spareDescriptors; m.Descriptors > 0 && need > m.Descriptors {
		problem("%d calls in a process need %d descriptors, and a process may have %d here: raise the limit (ulimit -n), or give --processes %d",
			each, need, m.Descriptors, (calls+m.Descriptors-1)/max(1, m.Descriptors-spareDescriptors-m.Descriptors/callsPerFar)+1)
	}
	if m.Ports > 0 && calls > m.Ports {
		problem("%d calls need as many ports towards the proxy, and this host has %d: widen net.ipv4.ip_local_port_range, or divide the calls among hosts (--part)", calls, m.Ports)
	}
	bytes := int64(calls)*t.bytesPerCall() + int64(processes)*baseBytes
	switch {
	case m.Memory > 0 && bytes > m.Memory:
		problem("%d calls need about %d MB, and %d MB are free", calls, bytes>>20, m.Memory>>20)
	case m.Memory > 0 && bytes > m.Memory/2:
		warning("%d calls need about %d MB of the %d MB that are free", calls, bytes>>20, m.Memory>>20)
	}
	if cores := float64(calls) * t.Profile.PPS() / 2 / packetsPerCore; m.Cores > 0 && cores > 0.7*float64(m.Cores) {
		warning("%d calls send %.0f packets/s, for which the generator needs about %.1f cores; this host has %d: the run is likely to be void", calls, float64(calls)*t.Profile.PPS(), cores, m.Cores)
	}
	return problems, warnings
}

func (t *Test) bytesPerCall() int64 {
	if len(t.Profile.Streams) == 0 {
		return idleBytes
	}
	return mediaBytes
}
