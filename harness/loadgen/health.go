package loadgen

import (
	"fmt"
	"math"
	"os"
	"runtime/metrics"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// minSent is the share of what was due that the pacer must come to.
const minSent = 0.995

// slowestWrite is how late the 99th percentile of the writes may begin that nothing was before, in
// Config.MaxLateness: with its default half of the strictest objective for delay.
const slowestWrite = 5

// judge finds the step void if the generator was the bottleneck. Anything else is left to others.
func (g *Generator) judge(r *measure.Step) {
	g.mu.Lock()
	starved, farLost := g.starved, g.farLost
	for _, f := range g.fars {
		farLost = farLost || f.client.Err() != nil
	}
	g.mu.Unlock()
	void := func(format string, args ...any) {
		r.Verdict = measure.Void
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...))
	}
	gen := &r.Generator
	gen.Sent, gen.Coverage = 1, 1
	if r.Up.Scheduled+r.Down.Scheduled > 0 {
		// Packets that were due and that the pacer did not come to are missing in Scheduled; what it
		// came to late is in the lateness. Unsent ones waited for the path, and are its loss.
		for _, p := range g.pacers {
			gen.Sent = min(gen.Sent, p.kept())
		}
	}
	if late, most := gen.Lateness.Milliseconds(0.99), measure.Milliseconds(g.cfg.MaxLateness); late > most {
		void("the generator was late: the 99th percentile of its pacer is %.1f ms, the most allowed %.0f ms; use fewer calls or a larger machine", late, most)
	}
	if most := slowestWrite * measure.Milliseconds(g.cfg.MaxLateness); gen.Writing != nil && gen.Writing.Milliseconds(0.99) > most {
		void("the generator was late: the 99th percentile of its writers began %.1f ms after the time, the most allowed %.0f ms; use fewer calls or a larger machine", gen.Writing.Milliseconds(0.99), most)
	}
	if gen.Sent < minSent {
		void("the generator came to %.2f %% of what was due, the least allowed is %.1f %%", 100*gen.Sent, 100*minSent)
	}
	if starved != nil {
		void("this machine ran out of descriptors, ports or buffers: %v (ulimit -n, net.ipv4.ip_local_port_range)", starved)
	}
	if farLost {
		gen.Coverage = 0
		void("the far ends, which are reached without the proxy, were lost: look at the TURN server")
	}
}

// kept is the share of what was due that the pacer has come to.
func (p *pacer) kept() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := 0
	now := time.Since(p.epoch)
	for _, s := range p.queue {
		if now-s.due > time.Second {
			behind++
		}
	}
	if len(p.queue) == 0 {
		return 1
	}
	return 1 - float64(behind)/float64(len(p.queue))
}

// health looks at this process for the length of a step.
type health struct {
	start   time.Time
	cpu     time.Duration
	metrics []metrics.Sample
}

const (
	pausesMetric = "/sched/pauses/total/gc:seconds"
	gcMetric     = "/cpu/classes/gc/total:cpu-seconds"
	totalMetric  = "/cpu/classes/total:cpu-seconds"
)

func startHealth() *health {
	h := &health{start: time.Now(), cpu: cpuTime(), metrics: []metrics.Sample{{Name: pausesMetric}, {Name: gcMetric}, {Name: totalMetric}}}
	metrics.Read(h.metrics)
	return h
}

func (h *health) end(lateness *measure.Latency) measure.Generator {
	now := []metrics.Sample{{Name: pausesMetric}, {Name: gcMetric}, {Name: totalMetric}}
	metrics.Read(now)
	g := measure.Generator{
		Lateness: lateness, CPU: (cpuTime() - h.cpu).Seconds() / time.Since(h.start).Seconds(),
		RSS: rss(), FDs: openFiles(), FDLimit: fileLimit(),
		GCMax: longestPause(h.metrics[0].Value.Float64Histogram(), now[0].Value.Float64Histogram()),
	}
	if total := now[2].Value.Float64() - h.metrics[2].Value.Float64(); total > 0 {
		g.GCShare = (now[1].Value.Float64() - h.metrics[1].Value.Float64()) / total
	}
	return g
}

// longestPause is the upper bound of the last bucket that has grown, in milliseconds.
func longestPause(before, after *metrics.Float64Histogram) float64 {
	for i := len(after.Counts) - 1; i >= 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			if upper := after.Buckets[i+1]; !math.IsInf(upper, 1) {
				return upper * 1000
			}
			return after.Buckets[i] * 1000
		}
	}
	return 0
}

// openFiles counts this process's descriptors; 0 where that is not known.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
