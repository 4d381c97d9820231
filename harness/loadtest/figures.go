package loadtest

import (
	"fmt"

	"github.com/turngate/turngate/harness/measure"
)

// The figures of a step that objectives may name. Those of delay are of the worse direction, in
// milliseconds; shares are from 0 to 1. Names with added_ compare with the direct baseline.
const (
	DelayP50  = "delay_p50_ms"
	DelayP95  = "delay_p95_ms"
	DelayP99  = "delay_p99_ms"
	AddedP50  = "added_p50_ms"
	AddedP95  = "added_p95_ms"
	AddedP99  = "added_p99_ms"
	JitterP95 = "jitter_p95_ms"

	WindowsPassed = "windows_passed_share"
	MOSp5         = "mos_p5"

	SetupP95    = "setup_p95_ms" // until the first media came through
	SetupP99    = "setup_p99_ms"
	ConnectP95  = "connect_p95_ms" // all CONNECT requests of a tunnel, the computing of credentials included
	ConnectP99  = "connect_p99_ms"
	OpenedShare = "opened_share" // of the tunnels that were due
	LostTunnels = "lost_tunnels" // closed by somebody else while in use
)

// LateShare names the share of packets that came later than a deadline, or never: "late_100ms_share".
func LateShare(milliseconds int) string { return fmt.Sprintf("late_%dms_share", milliseconds) }

// figures computes them from a step and its direct baseline, which may be nil. What was not measured
// is absent.
func figures(s, baseline *measure.Step) map[string]float64 {
	f := make(map[string]float64)
	delays(f, s)
	if baseline != nil {
		added(f, s, baseline)
	}
	for _, flow := range []measure.Flow{s.Up, s.Down} {
		for _, l := range flow.Late {
			worse(f, LateShare(l.Milliseconds), l.Share)
		}
	}
	for _, q := range s.Streams {
		if q.Jitter != nil && q.Jitter.Count() > 0 {
			worse(f, JitterP95, q.Jitter.Milliseconds(0.95))
		}
	}
	windows(f, s.Windows)
	phase(f, s, "total", SetupP95, SetupP99)
	phase(f, s, "connect", ConnectP95, ConnectP99)
	if due := s.Tunnels.Wanted + s.Tunnels.Unreplaced; due > 0 {
		f[OpenedShare] = float64(s.Tunnels.Opened) / float64(due)
	}
	f[LostTunnels] = float64(s.Tunnels.Lost)
	return f
}

// worse keeps the larger one.
func worse(f map[string]float64, name string, v float64) {
	if old, there := f[name]; !there || v > old {
		f[name] = v
	}
}

var quantiles = []struct {
	share        float64
	delay, added string
}{{0.5, DelayP50, AddedP50}, {0.95, DelayP95, AddedP95}, {0.99, DelayP99, AddedP99}}

func delays(f map[string]float64, s *measure.Step) {
	for _, flow := range []measure.Flow{s.Up, s.Down} {
		if flow.Delay == nil || flow.Delay.Count() == 0 {
			continue
		}
		for _, q := range quantiles {
			worse(f, q.delay, flow.Delay.Milliseconds(q.share))
		}
	}
}

// added is what the proxy adds: percentile by percentile, each direction by itself, never less than 0.
func added(f map[string]float64, s, baseline *measure.Step) {
	for _, pair := range [][2]measure.Flow{{s.Up, baseline.Up}, {s.Down, baseline.Down}} {
		got, base := pair[0].Delay, pair[1].Delay
		if got == nil || base == nil || got.Count() == 0 || base.Count() == 0 {
			continue
		}
		for _, q := range quantiles {
			worse(f, q.added, max(0, got.Milliseconds(q.share)-base.Milliseconds(q.share)))
		}
	}
}

// windows counts call-windows, so that a bad minute is not hidden by a good hour.
func windows(f map[string]float64, all []measure.Window) {
	calls, passed, mos := 0, 0, 0.0
	for _, w := range all {
		calls, passed = calls+w.Calls, passed+w.Passed
		if w.MOS > 0 && (mos == 0 || w.MOS < mos) {
			mos = w.MOS
		}
	}
	if calls > 0 {
		f[WindowsPassed] = float64(passed) / float64(calls)
	}
	if mos > 0 {
		f[MOSp5] = mos
	}
}

func phase(f map[string]float64, s *measure.Step, name, p95, p99 string) {
	for _, p := range s.Setup {
		if p.Name == name && p.Took != nil && p.Took.Count() > 0 {
			f[p95], f[p99] = p.Took.Milliseconds(0.95), p.Took.Milliseconds(0.99)
		}
	}
}
