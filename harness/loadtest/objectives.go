package loadtest

import (
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// The shares of a set of objectives.
const (
	EndToEnd   = "end-to-end"
	ProxyShare = "proxy"
)

// Objectives are the default ones: what a proxy, which is one hop of the way, may take of the budget
// of a call, and what Microsoft and the ITU ask of the whole.
func Objectives() []measure.Objective {
	return []measure.Objective{
		{Metric: AddedP95, Max: true, Limit: 20, Share: ProxyShare, Source: "a fifth of the 100 ms that Microsoft allows for the round trip to its edge"},
		{Metric: AddedP99, Max: true, Limit: 50, Share: ProxyShare, Source: "half of the 100 ms that Microsoft allows for the round trip to its edge"},
		{Metric: LateShare(100), Max: true, Limit: 0.01, Share: ProxyShare, Source: "Microsoft: loss below 1 % in 15 s; later than a jitter buffer waits is lost"},
		{Metric: ConnectP95, Max: true, Limit: 1000, Share: ProxyShare, Source: "a join must not feel slow (assumed)"},
		{Metric: ConnectP99, Max: true, Limit: 3000, Share: ProxyShare, Source: "a join must not feel slow (assumed)"},
		{Metric: OpenedShare, Limit: 0.999, Share: ProxyShare, Source: "one refused call in a thousand (assumed)"},
		{Metric: LostTunnels, Max: true, Limit: 0, Share: ProxyShare, Source: "a tunnel in use must not be cut"},
		{Metric: DelayP95, Max: true, Limit: 150, Share: EndToEnd, Source: "ITU-T G.114 (2003): 150 ms one way"},
		{Metric: JitterP95, Max: true, Limit: 30, Share: EndToEnd, Source: "Microsoft: jitter below 30 ms in 15 s"},
		{Metric: WindowsPassed, Limit: 0.95, Share: EndToEnd, Source: "a call has at most one bad window of 15 s in five minutes (assumed)"},
	}
}

// objectives are those of the test; with an echo peer each says what it is judged by.
func (t *Test) objectives() []measure.Objective {
	if !t.Peer.IsValid() {
		return t.Objectives
	}
	list := slices.Clone(t.Objectives)
	for i := range list {
		switch metric := list[i].Metric; {
		case strings.HasPrefix(metric, "delay_"), strings.HasPrefix(metric, "added_"):
			list[i].Source += "; judged by RTT/2"
		case strings.HasPrefix(metric, "late_"), strings.HasPrefix(metric, "jitter_"), metric == WindowsPassed:
			list[i].Source += "; judged by both ways together, which is at least as much as either"
		}
	}
	return list
}
