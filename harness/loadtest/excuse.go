package loadtest

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// What makes this machine, and not the proxy, the bottleneck.
const (
	standstill = 300.0 // ms that a clock may come late
	idleShare  = 0.05  // of the CPUs that must be idle at least, where
	otherShare = 0.2   // of them are other programs' at most
)

// Names of what a row tells of this machine.
const (
	rowLate    = "row_late_ms" // how late the row itself was
	idleCores  = "host.idle_cores"
	otherCores = "host.other_cores"
)

// excuses says what this machine did that the proxy must not be blamed for.
func excuses(s *measure.Step, cpus int) (why []string) {
	if l := s.Generator.Lateness; l != nil && l.Milliseconds(1) >= standstill {
		why = append(why, fmt.Sprintf("this machine stood still: the generator's clock came %.1f s late", l.Milliseconds(1)/1000))
	} else if late := s.Figures["max_"+rowLate]; late >= standstill {
		why = append(why, fmt.Sprintf("this machine stood still: what is looked at once a second was looked at %.1f s late", late/1000))
	}
	others, known := s.Figures["mean_"+otherCores]
	if known && s.Figures["mean_"+idleCores] < idleShare*float64(cpus) && others > otherShare*float64(cpus) {
		why = append(why, fmt.Sprintf("other programs took %.2f of this machine's %d cores, and none was idle (generator, proxy and TURN server are not among them): end them, or use another machine", others, cpus))
	}
	return why
}

// excuse makes a step void that failed while this machine was in the way, and a baseline, beside which
// the proxy would look better than it is. What passes all the same has passed. A machine that is slow
// refuses no tunnel and cuts none: who fails by that has failed.
func excuse(s *measure.Step, objectives []measure.Objective, cpus int) {
	why := excuses(s, cpus)
	switch {
	case len(why) == 0 || s.Verdict == measure.Pass && !s.Direct:
		return
	case s.Verdict == measure.Void: // and that may be why
		s.Reasons = append(s.Reasons, why...)
		return
	}
	for _, o := range objectives {
		if got, known := s.Figures[o.Metric]; known && broken(o, got) && (o.Metric == OpenedShare || o.Metric == LostTunnels) {
			return
		}
	}
	if len(s.Reasons) > 0 {
		why = append(why, "the proxy cannot be blamed for it: "+strings.Join(s.Reasons, "; "))
	}
	s.Verdict, s.Reasons = measure.Void, why
}

// proxyAddress is host:port of the path's proxy.
func (t *Test) proxyAddress() string {
	u, err := url.Parse(t.Path.Proxy)
	if err != nil {
		return t.Path.Proxy
	}
	if u.Port() == "" {
		return u.Host + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	return u.Host
}
