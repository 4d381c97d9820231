package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

// writes is how many frames a call sends per second, both directions together. The packets of a frame
// are written at once, and whoever reads them finds them together.
func writes(p loadgen.Profile) (sum float64) {
	for _, s := range p.Streams {
		sum += s.Rate
	}
	return sum
}

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

// most is what the steps do at most, with the whole capacity of the proxy: it keeps a generator on the
// same machine out of trouble.
const mostWrites, mostMbps = 16_000, 400 // per second, both directions together

// costSteps are designed around what the proxy is known to carry: new tunnels without traffic, the
// same bit rate in small packets and in large ones, frames of several packets, each at about half of
// the capacity, and a mix. Idle tunnels and the proxy at rest are measured before. The quick ones are
// as few as the fit needs.
func costSteps(p sizing.Proxy, quick bool) []costStep {
	calls := float64(max(1, p.Capacity.Calls))
	w, mbps := min(mostWrites, calls*p.Writes), min(mostMbps, calls*p.Mbps)
	n := min(60, max(1, p.Capacity.Calls/2))
	rate := func(total float64) float64 { return max(1, min(1000, total/float64(2*n))) }
	idle := loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}
	pool := min(10, n)
	churn := max(2, min(20, p.Logins/4))
	small := rate(w / 2)
	large := max(1, small*200/1200)
	frames := rate(mbps / 2 * 1e6 / 8 / 4800)
	steps := []costStep{
		{"new tunnels", idle, pool, 2 * churn},
		{"small packets", stream("small packets", 200, small), n, 0},
		{"large packets", stream("large packets", 1200, large), n, 0},
		{"frames of four packets", stream("frames", 4800, frames), n, 0},
		{"mixed", stream("mixed", 600, small/2), n, churn},
	}
	if quick {
		return steps
	}
	return append(steps,
		costStep{"fewer new tunnels", idle, pool, churn},
		costStep{"small packets, half", stream("small packets", 200, small/2), n, 0},
		costStep{"large packets, more", stream("large packets", 1200, min(1000, 3*large)), n, 0},
		costStep{"frames of four packets, half", stream("frames", 4800, max(1, frames/2)), n, 0},
	)
}

// measureCosts runs the steps and fits the cost model. Without the proxy's CPU there is none.
func (z *sizer) measureCosts(ctx context.Context) error {
	if len(z.points) == 0 || z.Proxy.Capacity.Calls == 0 {
		return nil
	}
	z.Objectives = nil // these steps are not to pass, but to cost
	for _, c := range costSteps(z.Proxy, z.Quick) {
		s, err := z.special(ctx, c.profile, loadgen.Step{Name: "cost: " + c.name, Kind: "model", Calls: c.calls, Duration: z.times.model, Churn: c.churn})
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

// point takes a step into the fit, if the proxy's CPU is known and the load was what was wanted.
func (z *sizer) point(s measure.Step, p loadgen.Profile) {
	cores, known := cpu(s)
	if !known || !offered(s) {
		return
	}
	point := sizing.Point{Name: s.Name, Cores: cores, Weight: pointWeight(cores, s.Seconds)}
	if !s.Direct {
		point.Load = loadOf(s, p)
	}
	z.points = append(z.points, point)
}

// offered tells that a step's load was there. A generator that was late spoils delays, but if all was
// sent in the end, it cost the proxy what it costs.
func offered(s measure.Step) bool {
	g := s.Generator
	return s.Direct || g.Sent >= 0.99 && g.Coverage > 0 && s.Tunnels.Opened >= s.Calls*9/10
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
	calls := float64(s.Calls)
	return sizing.Load{Mbps: calls * p.Mbps(), Writes: calls * writes(p), Connects: connects(s), Tunnels: calls}
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
	var all int64
	for _, p := range s.Setup {
		if strings.HasPrefix(p.Name, "connect-") {
			all += p.Took.Count()
		}
	}
	return float64(all) / float64(max(1, s.Tunnels.Opened))
}

// idleTunnels measures what tunnels without traffic take.
func (z *sizer) idleTunnels(ctx context.Context) (err error) {
	n := z.times.idle
	z.Objectives = nil
	idle := loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}
	z.idle, err = z.special(ctx, idle, loadgen.Step{Name: fmt.Sprintf("cost: %d idle tunnels", n), Kind: "model", Calls: n, Duration: z.times.model})
	if err != nil {
		return err
	}
	if z.idle.Tunnels.Opened == 0 {
		return fmt.Errorf("none of %d tunnels opened: %w", n, causes(z.idle))
	}
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
	rest, idle := z.base.Figures, z.idle.Figures
	if grown := idle["mean_proc.rss_bytes"] - rest["mean_proc.rss_bytes"]; grown > 0 && tunnels > 0 {
		p.TunnelMemory, p.IdleMemory = grown/tunnels, rest["mean_proc.rss_bytes"]
	}
	if p.Memory == 0 {
		p.Memory = idle["max_host.memory_bytes"]
	}
	if limit := int(idle["max_proc.fd_limit"]); p.Descriptors == 0 {
		p.Descriptors = limit
	}
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
	l := sizing.Load{Mbps: float64(calls) * profile.Mbps(), Writes: float64(calls) * writes(profile), Connects: churn * z.Proxy.Legs, Tunnels: float64(calls)}
	p := m.Predict(l)
	z.mix = &measure.Validation{
		Mix:  fmt.Sprintf("%d calls, %s, of which %.3g per second are replaced", calls, profile.Summary, churn),
		Mbps: l.Mbps, Writes: l.Writes, Connects: l.Connects, Tunnels: l.Tunnels, Predicted: p.Cores, Low: p.Low, High: p.High, Beyond: p.Beyond,
	}
	if z.Foretold != nil {
		z.Foretold(*z.mix)
	}
	for i := range z.Validate {
		s, err := z.special(ctx, profile, loadgen.Step{Name: fmt.Sprintf("mix, %d", i+1), Kind: "model", Calls: calls, Duration: max(z.times.model, 5*time.Second), Churn: churn})
		if err != nil {
			return err
		}
		cores, known := cpu(s)
		if known && offered(s) {
			z.mix.Measured = append(z.mix.Measured, cores)
		}
	}
	return nil
}

// mixture is the calls of the test at 70 % of their capacity, with a screen that one side shares, and
// tunnels that come and go: streams, sizes and rates that no step had.
func (z *sizer) mixture() (p loadgen.Profile, calls int, churn float64) {
	p = loadgen.Profile{Name: "mix", Streams: append([]loadgen.Stream(nil), z.Profile.Streams...)}
	p.Streams = append(p.Streams, loadgen.Stream{Name: "screen", Up: true, Rate: 5, Kbps: 200, KeyEvery: 50, KeyTimes: 4, Spread: 0.5})
	p.Summary = z.Profile.Name + " with a shared screen"
	share := 0.6 * z.Profile.Mbps() / p.Mbps()
	return p, max(1, int(share*float64(z.Proxy.Capacity.Calls))), max(1, z.Proxy.Logins/10)
}
