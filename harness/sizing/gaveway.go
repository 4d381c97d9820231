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
	Cores  float64       // that the proxy's process can use; 0: not known
	Shared float64       // that it and its helpers can use together; 0: as many as there are
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
		if busy(e, nothingLeft) {
			return TheMachine, append(slices.Clone(f.Reasons), busyWords(e))
		}
		return TheGenerator, f.Reasons
	}
	why = append(why, fmt.Sprintf("%s: %s", f.Name, strings.Join(f.Reasons, "; ")))
	if name, more := refusal(f); name != "" {
		return name, append(why, more...)
	}
	used, known := proxyCores(f)
	if known {
		why = append(why, fmt.Sprintf("the proxy took %.2f cores, its helpers %.2f", f.Figures["mean_proc.cpu_cores"], f.Figures["mean_proc.helpers_cpu_cores"]))
	}
	switch share, offered := Carried(f); {
	case known && e.Shared > 0 && used >= full*e.Shared:
		return CPU, append(why, fmt.Sprintf("all of them together can use %.3g", e.Shared))
	case known && e.Cores > 0 && e.ownCores(used) >= full*e.Cores:
		return CPU, append(why, fmt.Sprintf("it can use %.3g", e.Cores))
	case busy(e, nothingLeft):
		return TheMachine, append(why, busyWords(e))
	case e.Logins && (helpersIdle(f) || !connectsWait(f)) && busy(e, crowded):
		return TheMachine, append(why, busyWords(e))
	case e.Logins && helpersIdle(f):
		return Unexplained, append(why, "it is not for Squid's helpers that CONNECTs wait")
	case e.Logins && !connectsWait(f):
		return Unexplained, append(why, "CONNECTs take less than half of the time in which a tunnel and what is behind it are set up")
	case e.Logins, helpersWait(f) && len(unanswered(f)) > 0:
		why = append(why, "CONNECTs wait"+ifKnown(known, ", though there is CPU left"))
		return HelperQueue, append(why, helperWords(f)...)
	case len(unanswered(f)) > 0:
		return Tunnels, append(why, unanswered(f)...)
	case share < 0.97:
		return Throughput, append(why, fmt.Sprintf("of %.1f Mbit/s offered (payload, both ways) %.1f went through while it lasted%s", offered, share*offered, ifKnown(known, ", and there is CPU left")))
	case known && busy(e, crowded):
		return TheMachine, append(why, fmt.Sprintf("%s, and the proxy waited for one for %.2f s of each second", busyWords(e), f.Figures["mean_proc.waited_cores"]))
	case known:
		return DelayOnly, append(why, fmt.Sprintf("with %d calls the proxy adds %.1f ms at the median", e.Rest.Calls, e.Rest.Figures["added_p50_ms"]))
	}
	return delayUnknown(e, why)
}

// ownCores is what counts against the proxy's own cores. Helpers are processes of their own, and have
// cores of their own; while calls are up they have nothing to do.
func (e *Evidence) ownCores(used float64) float64 {
	if e.Logins {
		return e.Failed.Figures["mean_proc.cpu_cores"]
	}
	return used
}

// How much of this machine's CPUs is busy: with nothing left it explains whatever it may; where it is only
// crowded, so that processes wait for each other, it explains what nothing else does.
const nothingLeft, crowded = 0.95, 0.8

func busy(e Evidence, from float64) bool {
	return e.CPUs > 0 && e.Failed.Figures["mean_host.cpu_cores"] >= from*float64(e.CPUs)
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
	refused := causes(s, func(cause string) bool {
		return strings.HasPrefix(cause, "the proxy answers") || strings.Contains(cause, "refused")
	})
	if words := outOfDescriptors(s); words != "" {
		return DescriptorLimit, append(append(refused, unanswered(s)...), words)
	}
	if len(refused) > 0 {
		return Tunnels, refused
	}
	return "", nil
}

// unanswered are the tunnels that the proxy said nothing about: it accepts no connection, or leaves a
// CONNECT waiting.
func unanswered(s *measure.Step) []string {
	return causes(s, func(cause string) bool {
		return strings.HasPrefix(cause, "proxy, ") && strings.HasSuffix(cause, ": time-out")
	})
}

func causes(s *measure.Step, of func(cause string) bool) (words []string) {
	for _, cause := range slices.Sorted(maps.Keys(s.Tunnels.Causes)) {
		if of(cause) {
			words = append(words, fmt.Sprintf("%d times: %s", s.Tunnels.Causes[cause], cause))
		}
	}
	return words
}

// outOfDescriptors says that the proxy has used its descriptors. Squid stops to accept connections when
// what is left is no more than its reserve, a hundred or a quarter of the limit, if that is less.
func outOfDescriptors(s *measure.Step) string {
	fds, limit := s.Figures["max_proc.fds"], s.Figures["max_proc.fd_limit"]
	if limit == 0 {
		fds, limit = s.Figures["max_squid.fds_in_use"], s.Figures["max_squid.fd_limit"]
	}
	reserve, known := s.Figures["max_squid.fds_reserved"]
	words := fmt.Sprintf("the proxy has %.0f of %.0f descriptors", fds, limit)
	switch {
	case limit == 0:
		return ""
	case fds >= 0.97*limit:
		return words
	case known && fds >= 0.97*limit-reserve:
		return fmt.Sprintf("%s, and accepts nobody when no more than %.0f are left", words, reserve)
	case len(unanswered(s)) > 0 && fds >= 0.97*limit-min(100, limit/4):
		return words + ", and does not answer; Squid keeps up to a quarter of them, at most 100, in reserve"
	}
	return ""
}

// schemes are those that Squid's cache manager tells the helpers of.
var schemes = []string{"basic", "digest", "ntlm", "negotiate"}

// helpersWait tells that requests waited for helpers, as far as Squid says so.
func helpersWait(s *measure.Step) bool { return s.Figures["max_squid.helper_queue"] > 0 }

// helpersIdle tells that Squid says that nothing waited for helpers, and some had nothing to do.
func helpersIdle(s *measure.Step) (idle bool) {
	for _, scheme := range schemes {
		if limit := s.Figures["max_squid."+scheme+".limit"]; limit > 0 {
			idle = true
			if s.Figures["max_squid."+scheme+".busy"] >= limit {
				return false
			}
		}
	}
	return idle && !helpersWait(s)
}

// connectsWait tells that set-ups spend their time with CONNECT, if that is known.
func connectsWait(s *measure.Step) bool {
	var connect, total float64
	for _, p := range s.Setup {
		switch p.Name {
		case "connect":
			connect = p.Took.Milliseconds(0.5)
		case "total":
			total = p.Took.Milliseconds(0.5)
		}
	}
	return connect >= total/2
}

// helperWords says how busy the helpers were; nothing where that is not known.
func helperWords(s *measure.Step) (words []string) {
	for _, scheme := range schemes {
		busy, limit := s.Figures["max_squid."+scheme+".busy"], s.Figures["max_squid."+scheme+".limit"]
		if busy == 0 || limit == 0 {
			continue
		}
		words = append(words, fmt.Sprintf("of at most %.0f %s helpers up to %.0f were busy, and up to %.0f requests waited for one; one takes %.0f ms",
			limit, scheme, busy, s.Figures["max_squid."+scheme+".queue"], s.Figures["mean_squid."+scheme+".service_ms"]))
	}
	return words
}

// Helpers is how many authentication helpers Squid may start of the scheme that is used, 0 if that is
// not known.
func Helpers(s *measure.Step) (n int) {
	most := 0.0
	for _, scheme := range schemes {
		if rate := s.Figures["mean_squid."+scheme+".requests_per_s"]; rate > most {
			n, most = int(s.Figures["max_squid."+scheme+".limit"]), rate
		}
	}
	return n
}

// proxyCores is the CPU of the proxy with its helpers.
func proxyCores(s *measure.Step) (float64, bool) {
	own, known := s.Figures["mean_proc.cpu_cores"]
	return own + s.Figures["mean_proc.helpers_cpu_cores"], known
}

// Carried is the share of the offered packets that came through while they were being sent, and the
// offered bit rate in Mbit/s.
func Carried(s *measure.Step) (share, mbps float64) {
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
