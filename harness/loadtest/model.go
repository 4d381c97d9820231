package loadtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// A modelStep is one of those that tell apart what costs a proxy CPU: each varies something by itself.
type modelStep struct {
	name    string
	profile loadgen.Profile
	calls   int
	churn   float64 // tunnels replaced per second
}

// stream is one whose frames are packets of one size, up and down.
func stream(name string, bytes int, rate float64) loadgen.Profile {
	kbps := float64(bytes) * 8 * rate / 1000
	return loadgen.Profile{Name: name, Summary: fmt.Sprintf("%d packets of %d bytes per second each way", int(rate), bytes), Streams: []loadgen.Stream{
		{Name: "packets", Up: true, Rate: rate, Kbps: kbps}, {Name: "packets", Rate: rate, Kbps: kbps},
	}}
}

// modelSteps are designed around a number of calls that the proxy is known to carry: nothing, tunnels
// without traffic, new tunnels without traffic, the same bit rate in small packets and in large ones,
// each at two levels.
func modelSteps(calls int) []modelStep {
	idle := loadgen.Profile{Name: "idle", Summary: "tunnels without traffic"}
	small, large := stream("small packets", 150, 80), stream("large packets", 1200, 10) // 96 kbit/s each
	n := max(8, min(400, 4*calls))
	return []modelStep{
		{"model: nothing", idle, 0, 0},
		{"model: idle tunnels", idle, n, 0},
		{"model: new tunnels", idle, 10, 10},
		{"model: more new tunnels", idle, 10, 20},
		{"model: small packets, half", small, n / 2, 0},
		{"model: small packets", small, n, 0},
		{"model: large packets", large, n, 0},
		{"model: large packets, ten times", stream("large packets", 1200, 100), max(2, n/4), 0},
		{"model: mixed", stream("mixed packets", 600, 40), n / 2, 5},
	}
}

// model runs the steps. One that cannot be measured is left out.
func (r *run) model(ctx context.Context, calls int, length time.Duration) error {
	for _, m := range modelSteps(calls) {
		if err := r.modelStep(ctx, m, length); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) modelStep(ctx context.Context, m modelStep, length time.Duration) error {
	config := r.config()
	config.Profile, config.Near = m.profile, r.Proxied
	g, err := loadgen.New(config)
	if err != nil {
		return err
	}
	defer g.Close()
	s := loadgen.Step{Name: m.name, Kind: "model", Calls: m.calls, Duration: length, Churn: m.churn}
	_, err = r.measure(ctx, g, s, nil)
	return err
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
