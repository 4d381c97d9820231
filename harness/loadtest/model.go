package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

// stream is a profile whose frames all have one size, as many up as down.
func stream(name string, bytes int, rate float64) loadgen.Profile {
	kbps := float64(bytes) * 8 * rate / 1000
	return loadgen.Profile{Name: name, Summary: fmt.Sprintf("%.0f frames of %d bytes per second each way", rate, bytes), Streams: []loadgen.Stream{
		{Name: "packets", Up: true, Rate: rate, Kbps: kbps}, {Name: "packets", Rate: rate, Kbps: kbps},
	}}
}

// A costStep is one of those that tell apart what costs a proxy CPU: each varies something by itself.
type costStep struct {
	name    string
	profile loadgen.Profile
	calls   int
	churn   float64 // tunnels replaced per second
}

// What the steps do at most, both directions together: more would trouble a generator on the same
// machine before it troubles a proxy.
const mostWrites, mostMbps = 20_000, 400 // per second

// costSteps are designed around the capacity: new tunnels without traffic, then small packets, large
// ones, frames of several packets and a mix, all of them near the capacity, as proxies are to be run. A
// proxy finds more to do each time it wakes up when it is busy, so that a write costs it less: what it
// costs at a tenth of the capacity says little. Idle tunnels and the proxy at rest are measured before.
// The quick ones are as few as the fit needs.
func costSteps(p sizing.Proxy, quick bool) []costStep {
	calls := 0.85 * float64(max(1, p.Capacity.Calls))
	n := min(100, max(1, int(calls)))
	// The rate of each stream, two of which make a call, for so many writes of a size per second.
	rate := func(writes float64, bytes int) float64 {
		writes = min(writes, mostWrites, mostMbps*1e6/8/float64(bytes))
		return max(1, min(1000, writes/float64(2*n)))
	}
	step := func(name string, bytes int, writes, churn float64) costStep {
		return costStep{name, stream(name, bytes, rate(writes, bytes)), n, churn}
	}
	w, churn := calls*p.Writes, max(2, min(20, p.Logins/4))
	idle, pool := loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}, min(10, n)
	steps := []costStep{
		{"new tunnels", idle, pool, 2 * churn},
		step("small packets", 200, w, 0),
		step("large packets", 1200, w, 0),
		step("frames of four packets", 4800, w/2, 0),
		step("mixed", 600, w/2, churn),
	}
	if quick {
		return steps
	}
	return append(steps,
		costStep{"fewer new tunnels", idle, pool, churn},
		step("small packets, half", 200, w/2, 0),
		step("large packets, half", 1200, w/2, 0),
		step("frames of four packets, more", 4800, w, 0),
	)
}

// measureCosts runs the steps and fits the cost model. Without the proxy's CPU there is none.
func (z *sizer) measureCosts(ctx context.Context) error {
	if len(z.points) == 0 || z.Proxy.Capacity.Calls == 0 {
		return nil
	}
	z.Objectives = nil // these steps are not to pass, but to cost
	for _, c := range costSteps(z.Proxy, z.Quick) {
		step := loadgen.Step{Name: "cost: " + c.name, Kind: "model", Calls: c.calls, Duration: z.times.model, Churn: c.churn}
		s, err := z.special(ctx, c.profile, step)
		if err == nil && !telling(s) { // once more; a proxy that lacks CPU is asked for less of it
			if starved(s) {
				step.Calls, step.Churn = max(1, step.Calls/2), step.Churn/2
			}
			s, err = z.special(ctx, c.profile, step)
		}
		if err != nil {
			return err
		}
		z.point(s, c.profile)
	}
	var err error
	if z.Proxy.Model, err = sizing.Fit(z.points); err != nil {
		z.rows.cannot("what a load costs the proxy: " + strings.TrimPrefix(err.Error(), "sizing: "))
	}
	return nil
}

// point takes a step into the fit, if the proxy's CPU is known.
func (z *sizer) point(s measure.Step, p loadgen.Profile) {
	cores, known := cpu(s)
	if !known || !s.Direct && !telling(s) {
		return
	}
	point := sizing.Point{Name: s.Name, Cores: cores, Weight: pointWeight(cores, s.Seconds)}
	if !s.Direct {
		point.Load = loadOf(s, p)
	}
	z.points = append(z.points, point)
}

// telling says whether a step shows what its load costs the proxy. A generator that was late spoils
// delays, but if all was sent in the end, it cost what it costs. A proxy that has to wait for a CPU takes
// less than it would: it finds more to do each time that it gets one.
func telling(s measure.Step) bool {
	g := s.Generator
	return g.Sent >= 0.99 && g.Coverage > 0 && s.Tunnels.Opened >= s.Calls*9/10 && !starved(s)
}

// starved tells that a proxy waited for a CPU for as long as it had one.
func starved(s measure.Step) bool {
	return s.Figures["mean_proc.waited_cores"] > max(0.02, s.Figures["mean_proc.cpu_cores"])
}

// cpu is that of the proxy with its helpers.
func cpu(s measure.Step) (cores float64, known bool) {
	own, known := s.Figures["mean_proc.cpu_cores"]
	return own + s.Figures["mean_proc.helpers_cpu_cores"], known
}

// pointWeight is the inverse of the variance of a CPU figure: repeats of a step differ by 5 %, and a
// process's clock ticks every 10 ms.
func pointWeight(cores, seconds float64) float64 {
	sigma := 0.05*cores + 0.01/max(1, seconds-1)
	return 1 / (sigma * sigma)
}

// loadOf is what a step put on the proxy. The schedule tells: in an open loop it is kept.
func loadOf(s measure.Step, p loadgen.Profile) sizing.Load {
	return loadFor(p, s.Calls, connects(s))
}

// connects is how many CONNECT requests a churning step made per second while it was measured: each leg
// of a handshake is one. The calls that it began with were opened before.
func connects(s measure.Step) float64 {
	later := s.Tunnels.Opened - s.Calls
	if s.Seconds <= 0 || later <= 0 {
		return 0
	}
	return float64(later) * legs(s) / s.Seconds
}

// legs is how many CONNECT requests a tunnel took on average.
func legs(s measure.Step) float64 {
	var first, all int64
	for _, p := range s.Setup {
		if p.Name == "connect-1" {
			first = p.Took.Count()
		}
		if strings.HasPrefix(p.Name, "connect-") {
			all += p.Took.Count()
		}
	}
	return float64(all) / float64(max(1, first))
}

// idleTunnels measures what tunnels without traffic take.
func (z *sizer) idleTunnels(ctx context.Context) (err error) {
	// A proxy that takes long for one gets fewer, so that opening them does not take minutes.
	n := min(z.times.idle, max(20, int(15*time.Second/max(time.Millisecond, z.dialed))))
	z.Objectives = nil
	idle := loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}
	z.idle, err = z.special(ctx, idle, loadgen.Step{Name: fmt.Sprintf("cost: %d idle tunnels", n), Kind: "model", Calls: n, Duration: z.times.model})
	if err != nil {
		return err
	}
	if z.idle.Tunnels.Opened == 0 {
		return fmt.Errorf("none of %d tunnels opened: %w", n, causes(z.idle))
	}
	z.idleLimit = opened(&z.idle)
	z.idle.Calls = min(n, z.idle.Tunnels.Opened)
	z.point(z.idle, idle)
	return nil
}

func causes(s measure.Step) error {
	var all []error
	for cause, n := range s.Tunnels.Causes {
		all = append(all, fmt.Errorf("%d times: %s", n, cause))
	}
	return errors.Join(all...)
}

// proxyFacts fills in what was seen of memory and descriptors.
func (z *sizer) proxyFacts() {
	p, tunnels := &z.Proxy, float64(z.idle.Calls)
	if !z.rest.Direct {
		tunnels -= float64(z.rest.Calls)
	}
	rest, idle := z.rest.Figures, z.idle.Figures
	// Helpers that were started meanwhile are not what a tunnel takes.
	if grown := idle["mean_proc.largest_rss_bytes"] - rest["mean_proc.largest_rss_bytes"]; grown > 0 && tunnels > 0 {
		p.TunnelMemory, p.IdleMemory = grown/tunnels, rest["mean_proc.rss_bytes"]
	}
	if p.Memory == 0 {
		p.Memory = idle["max_host.memory_bytes"]
	}
	if limit := int(idle["max_proc.fd_limit"]); p.Descriptors == 0 {
		p.Descriptors = limit
	}
	p.ReservedDescriptors = int(max(rest["max_squid.fds_reserved"], idle["max_squid.fds_reserved"]))
	if grown := idle["mean_proc.fds"] - rest["mean_proc.fds"]; grown > 0 && tunnels > 0 {
		p.TunnelDescriptors, p.IdleDescriptors = grown/tunnels, rest["mean_proc.fds"]
	}
}

// validate predicts the CPU of a mix that the model was not fitted on, says so, and measures it.
func (z *sizer) validate(ctx context.Context) error {
	m := z.Proxy.Model
	if z.Validate == 0 || m == nil {
		return nil
	}
	profile, calls, churn := z.mixture()
	l := loadFor(profile, calls, churn*z.Proxy.Legs)
	p := m.Predict(l)
	z.mix = &measure.Validation{
		Mix:  fmt.Sprintf("%d calls, %s, of which %.3g per second are replaced", calls, profile.Summary, churn),
		Mbps: l.Mbps, Writes: l.Writes, Connects: l.Connects, Tunnels: l.Tunnels, Predicted: p.Cores, Low: p.Low, High: p.High, Beyond: p.Beyond,
	}
	if z.Foretold != nil {
		z.Foretold(*z.mix)
	}
	for tries := 1; len(z.mix.Measured) < z.Validate && tries <= 2*z.Validate; tries++ {
		s, err := z.special(ctx, profile, loadgen.Step{Name: fmt.Sprintf("mix, %d", tries), Kind: "model", Calls: calls, Duration: max(z.times.model, 5*time.Second), Churn: churn})
		if err != nil {
			return err
		}
		if cores, _ := cpu(s); telling(s) {
			z.mix.Measured = append(z.mix.Measured, cores)
		} else {
			z.mix.Void = append(z.mix.Void, cores)
		}
	}
	return nil
}

// worthwhile is the CPU that a mix should take: less is hardly told from the noise.
const worthwhile = 0.35 // cores

// mixture is the calls of the test with a screen that one side shares, and tunnels that come and go:
// streams, sizes and rates that no step had. It is what a proxy is planned with, 70 % of the capacity,
// or more where the model says that this is hardly worth measuring.
func (z *sizer) mixture() (p loadgen.Profile, calls int, churn float64) {
	p = loadgen.Profile{Name: "mix", Streams: slices.Clone(z.Profile.Streams), Summary: z.Profile.Name + " with a shared screen", Echo: z.Profile.Echo}
	p.Streams = append(p.Streams, loadgen.Stream{Name: "screen", Up: true, Rate: 5, Kbps: 200, KeyEvery: 50, KeyTimes: 4, Spread: 0.5})
	most := float64(z.Proxy.Capacity.Calls) * z.Profile.Mbps() / p.Mbps()
	churn = max(1, min(10, z.Proxy.Logins/8))
	for calls = max(1, int(sizing.Headroom*most)); calls < int(most); calls++ {
		if z.Proxy.Model.Predict(loadFor(p, calls, churn*z.Proxy.Legs)).Cores >= worthwhile {
			break
		}
	}
	return p, calls, churn
}

func loadFor(p loadgen.Profile, calls int, connects float64) sizing.Load {
	n := float64(calls)
	return sizing.Load{Mbps: n * p.Mbps(), Writes: n * p.Writes(), Connects: connects, Tunnels: n}
}
