package report

import (
	"math"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// latency has n observations whose median is m milliseconds, with a tail.
func latency(n int, m float64) *measure.Latency {
	l := measure.NewLatency()
	for i := range n {
		share := (float64(i) + 0.5) / float64(n)
		l.Record(time.Duration(m * math.Exp(math.Pow(share, 6)*3) * float64(time.Millisecond)))
	}
	return l
}

func flow(calls int, m, late float64) measure.Flow {
	f := measure.Flow{Scheduled: int64(calls) * 5000, Sent: int64(calls) * 5000, Received: int64(calls) * 5000, Mbps: 1.2 * float64(calls), PPS: 170 * float64(calls), Delay: latency(20_000, m)}
	for i, ms := range []int{60, 100, 150, 200} {
		f.Late = append(f.Late, measure.Late{Milliseconds: ms, Share: late / float64(i+1)})
	}
	return f
}

// sampleStep is one of n calls that begins at a second and lasts thirty.
func sampleStep(name, kind string, calls int, start, delay, late float64, v measure.Verdict) measure.Step {
	s := measure.Step{
		Name: name, Kind: kind, Direct: kind == "baseline", Calls: calls, Start: start, Seconds: 30, Up: flow(calls, delay, late), Down: flow(calls, delay*1.1, late/2),
		Verdict: v, Tunnels: measure.Tunnels{Wanted: calls, Opened: calls, Life: measure.NewLatency()},
		Generator: measure.Generator{Lateness: latency(1000, 0.05), Sent: 1, CPU: 0.004 * float64(calls), RSS: 60e6, FDs: 20 + 2*calls, FDLimit: 20000, GCMax: 0.2, GCShare: 0.004, Coverage: 1},
		Figures:   map[string]float64{"delay_p50_ms": delay, "delay_p95_ms": 4 * delay, "delay_p99_ms": 12 * delay, "late_100ms_share": late, "opened_share": 1, "lost_tunnels": 0, "windows_passed_share": 1},
	}
	for i := range 2 {
		s.Windows = append(s.Windows, measure.Window{Start: 15 * float64(i), Seconds: 15, Calls: calls, Passed: calls - int(late*400), Delay95: delay * (2 + float64(i)), Late100: late, MOS: 4.2})
	}
	s.Streams = []measure.StreamQuality{{Name: "audio", Up: true, Delay: latency(5000, delay), Jitter: latency(50, delay/3), Late: s.Up.Late, MOS: 4.31}, {Name: "video", Delay: latency(5000, delay*1.2), Jitter: latency(50, delay/2), Late: s.Down.Late, Freezes: 3, Stalls: 1}}
	for i, name := range []string{"tcp", "allocate", "bind", "first-media", "total"} {
		s.Setup = append(s.Setup, measure.Phase{Name: name, Took: latency(calls, 0.3+0.4*float64(i))})
	}
	if s.Direct {
		return s
	}
	for i, name := range []string{"connect-1", "connect-2", "connect-3", "auth", "connect"} {
		s.Setup = append(s.Setup, measure.Phase{Name: name, Took: latency(calls, 0.5+0.6*float64(i)+float64(calls)/40)})
	}
	s.Figures["added_p50_ms"], s.Figures["added_p95_ms"], s.Figures["added_p99_ms"] = 0.8*delay, 3*delay, 9*delay
	s.Figures["connect_p95_ms"], s.Figures["connect_p99_ms"] = 4+float64(calls), 9+2*float64(calls)
	s.Figures["mean_proc.cpu_cores"], s.Figures["mean_proc.helpers_cpu_cores"] = 0.02*float64(calls), 0.004*float64(calls)
	return s
}

// sampleRecord is that of a run of size, with all that a record can hold.
func sampleRecord() measure.Record {
	r := measure.Record{
		Format: 1, Command: "size", Run: "abcdefghijkl", Seed: 42, Started: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC), Seconds: 250, Verdict: measure.Pass,
		Conditions: measure.Conditions{Version: "v0", Go: "go1.26.8", OS: "linux/amd64", Kernel: "Linux 6.18", CPU: "Example CPU", CPUs: 2, Load: 0.2, Note: "generator, proxy and TURN server share this machine and its loopback"},
		Path:       measure.Path{Proxy: "http://localhost:3128", Product: "Squid 5.7", Auth: "ntlm", TURN: "turn:localhost:3478?transport=tcp", Legs: 3, Lab: "real", Direction: "one-way"},
		Profile: measure.Profile{Name: "720p", Summary: "a call with 720p video and audio, both ways", Sources: []string{"Microsoft Teams: prepare your network, 1200 kbit/s", "RFC 6716, Opus"},
			Streams: []measure.Stream{{Name: "audio", Up: true, Kbps: 32, PPS: 50, MaxSize: 80}, {Name: "video", Kbps: 1200, PPS: 130, FPS: 30, MaxSize: 1200}}},
		Objectives: []measure.Objective{
			{Metric: "added_p95_ms", Max: true, Limit: 20, Share: "proxy", Source: "a fifth of Microsoft's 100 ms", Got: 6.3, Measured: true, Verdict: measure.Pass},
			{Metric: "late_100ms_share", Max: true, Limit: 0.01, Share: "proxy", Source: "Microsoft: loss below 1 %", Got: 0.002, Measured: true, Verdict: measure.Pass},
			{Metric: "connect_p95_ms", Max: true, Limit: 1000, Share: "proxy", Source: "assumed", Got: 44, Measured: true, Verdict: measure.Pass},
			{Metric: "jitter_p95_ms", Max: true, Limit: 30, Share: "end-to-end", Source: "Microsoft"},
		},
		Steps: []measure.Step{
			sampleStep("direct, 10 calls", "baseline", 10, 2, 0.2, 0, measure.Pass),
			sampleStep("10 calls", "search", 10, 35, 0.4, 0, measure.Pass),
			sampleStep("20 calls", "search", 20, 68, 0.7, 0.0005, measure.Pass),
			sampleStep("40 calls", "search", 40, 101, 2.1, 0.002, measure.Pass),
			sampleStep("80 calls", "search", 80, 134, 9.4, 0.045, measure.Fail),
			sampleStep("60 calls", "search", 60, 167, 4.4, 0.011, measure.Fail),
			sampleStep("40 calls, confirmed", "confirm", 40, 200, 2.1, 0.002, measure.Pass),
		},
		Warnings: []string{"20000 descriptors are enough for 6600 calls"},
		Unknown:  []string{"Squid's own counters: its cache manager refused"},
		Size: &measure.Size{
			Capacity: 40, Confirmed: "3 of 3", GaveWay: "CPU of the proxy's one process", Why: []string{"0.98 of one core at 60 calls, and delay rose with it"},
			Model:       []measure.Term{{Name: "idle", Cores: 0.01, StdErr: 0.002, Shown: true}, {Name: "packets/s", Cores: 4.1e-6, StdErr: 2e-7, Shown: true}, {Name: "Mbit/s", Cores: 0.0001, StdErr: 0.0002}},
			ModelR2:     0.991,
			Demand:      measure.Demand{Users: 2000, PerHour: 1.5, HoldingS: 600, Erlangs: 500, Blocking: 0.001, Concurrent: 560},
			Constraints: []measure.Constraint{{Name: "measured capacity", Unit: "calls", PerProxy: 40, Needed: 560, Headroom: 0.7, Proxies: 20, Binding: true, Basis: "measured, 3 of 3"}, {Name: "descriptors", Unit: "", PerProxy: 16384, Needed: 1680, Headroom: 0.7, Proxies: 1, Basis: "measured: 3 per call"}},
			Formula:     "0.01 + 4.1e-06 writes/s",
			Validation:  &measure.Validation{Mix: "20 calls of audio", Predicted: 0.41, Low: 0.36, High: 0.46, Measured: []float64{0.42, 0.40, 0.41}},
			Proxies:     21, Binding: "measured capacity", Sentence: "2000 users need 21 proxies like this one, the spare included; what decides is the measured capacity of 40 calls.",
		},
	}
	for i := range 250 {
		calls := 0.0
		for _, s := range r.Steps {
			if at := float64(i); at >= s.Start && at < s.Start+s.Seconds {
				calls = float64(s.Calls)
			}
		}
		wave := 1 + 0.1*math.Sin(float64(i))
		r.Rows = append(r.Rows, measure.Row{At: float64(i), Values: map[string]float64{"calls": calls, "opening": 0, "lost": 0, "received_pps": 340 * calls * wave, "proc.cpu_cores": 0.01 + 0.016*calls*wave,
			"proc.helpers_cpu_cores": 0.001 * calls, "proc.fds": 20 + 2*calls, "proc.fd_limit": 16384, "proc.rss_bytes": 30e6 + 1e5*calls, "squid.client_http_requests_per_s": calls * wave / 10, "squid.fds_max": 16384, "tcp.rtt_p95_ms": 0.1 * wave, "odd": wave}})
	}
	return r
}
