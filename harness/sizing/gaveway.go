package sizing

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// What may give way besides the constraints that have the same names.
const (
	Tunnels      = "the number of tunnels"
	Throughput   = "the bit rate"
	DelayOnly    = "delay without CPU"
	HelperQueue  = "authentication (the helper queue)"
	TheGenerator = "the load generator"
	TheMachine   = "the machine that generator, proxy and TURN server share"
	Unexplained  = "something that was not watched"
)

// Evidence is what a search has seen where it ended.
type Evidence struct {
	Failed *measure.Step // the step that did not pass with the largest load; nil: all passed
	Rest   *measure.Step // the one with the smallest load, to compare with; may be Failed itself
	Void   bool          // Failed says nothing against the proxy
	Cores  float64       // that the proxy can use; 0: not known
	CPUs   int           // of this machine, if the proxy runs on it; else 0
	Logins bool          // tunnels per second were searched, not calls
}

// A resource is used up from this share on. A second's CPU time is known to a clock tick or two, and
// what waits for the next poll is not used.
const full = 0.9

// searchEnded is the name where nothing gave way.
const searchEnded = "nothing: the search ended before"

// GaveWay names what ended a search, and says why.
func GaveWay(e Evidence) (name string, why []string) {
	f := e.Failed
	if f == nil {
		return searchEnded, nil
	}
	if e.Void {
		if busy(e) {
			return TheMachine, append(slices.Clone(f.Reasons), busyWords(e))
		}
		return TheGenerator, f.Reasons
	}
	why = append(why, fmt.Sprintf("%s: %s", f.Name, strings.Join(f.Reasons, "; ")))
	if name, more := refusal(f); name != "" {
		return name, append(why, more...)
	}
	used, known := proxyCores(f)
	if e.Logins { // helpers are processes of their own, and have cores of their own
		used = f.Figures["mean_proc.cpu_cores"]
	}
	if known {
		why = append(why, fmt.Sprintf("the proxy took %.2f cores, its helpers %.2f", f.Figures["mean_proc.cpu_cores"], f.Figures["mean_proc.helpers_cpu_cores"]))
	}
	switch share, offered := carried(f); {
	case known && e.Cores > 0 && used >= full*e.Cores:
		return CPU, append(why, fmt.Sprintf("it can use %.3g", e.Cores))
	case busy(e):
		return TheMachine, append(why, busyWords(e))
	case e.Logins:
		return HelperQueue, append(why, "CONNECTs wait"+ifKnown(known, ", though there is CPU left"))
	case share < 0.97:
		return Throughput, append(why, fmt.Sprintf("of %.1f Mbit/s offered (payload, both ways) %.1f went through while it lasted%s", offered, share*offered, ifKnown(known, ", and there is CPU left")))
	case known:
		return DelayOnly, append(why, fmt.Sprintf("with %d calls the proxy adds %.1f ms at the median", e.Rest.Calls, e.Rest.Figures["added_p50_ms"]))
	}
	return delayUnknown(e, why)
}

// busy tells that this machine had nothing left.
func busy(e Evidence) bool {
	return e.CPUs > 0 && e.Failed.Figures["mean_host.cpu_cores"] >= 0.95*float64(e.CPUs)
}

func busyWords(e Evidence) string {
	return fmt.Sprintf("%.2f of %d cores of this machine were busy", e.Failed.Figures["mean_host.cpu_cores"], e.CPUs)
}

// delayUnknown is delay where the proxy's CPU is not known: delay at the smallest load is not of load.
func delayUnknown(e Evidence, why []string) (string, []string) {
	rest, failed := e.Rest.Figures["added_p50_ms"], e.Failed.Figures["added_p50_ms"]
	if rest >= 0.8*failed && rest > 0 {
		return DelayOnly, append(why, fmt.Sprintf("the proxy adds %.1f ms at the median also with %d calls", rest, e.Rest.Calls))
	}
	return Unexplained, append(why, "the delay grows with the load; --proxy-pid would tell the proxy's CPU")
}

func ifKnown(known bool, text string) string {
	if known {
		return text
	}
	return ""
}

// refusal looks at tunnels that were not opened.
func refusal(s *measure.Step) (string, []string) {
	if share, known := s.Figures["opened_share"]; !known || share >= 0.999 {
		return "", nil
	}
	var refused []string
	for _, cause := range slices.Sorted(maps.Keys(s.Tunnels.Causes)) {
		if !strings.HasPrefix(cause, "the proxy answers") && !strings.Contains(cause, "refused") {
			continue
		}
		refused = append(refused, fmt.Sprintf("%d times: %s", s.Tunnels.Causes[cause], cause))
	}
	fds, limit := s.Figures["max_proc.fds"], s.Figures["max_proc.fd_limit"]
	switch {
	case limit > 0 && fds >= 0.97*limit:
		return DescriptorLimit, append(refused, fmt.Sprintf("the proxy has %.0f of %.0f descriptors", fds, limit))
	case len(refused) > 0:
		return Tunnels, refused
	}
	return "", nil
}

// proxyCores is the CPU of the proxy with its helpers.
func proxyCores(s *measure.Step) (float64, bool) {
	own, known := s.Figures["mean_proc.cpu_cores"]
	return own + s.Figures["mean_proc.helpers_cpu_cores"], known
}

// carried is the share of the offered packets that came through while they were being sent, and the
// offered bit rate in Mbit/s.
func carried(s *measure.Step) (share, mbps float64) {
	scheduled := float64(s.Up.Scheduled + s.Down.Scheduled)
	pps, known := s.Figures["mean_received_pps"]
	if scheduled == 0 || s.Seconds <= 0 || !known {
		return 1, 0
	}
	mbps = s.Up.Mbps + s.Down.Mbps
	if received := float64(s.Up.Received + s.Down.Received); received > 0 {
		mbps *= scheduled / received
	}
	return pps / (scheduled / s.Seconds), mbps
}
