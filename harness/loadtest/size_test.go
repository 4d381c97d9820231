package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

// brief are lengths for known answers that do not need long to show.
var brief = &lengths{time.Second, 400 * time.Millisecond, 500 * time.Millisecond, 500 * time.Millisecond, 30 * time.Second, 2 * time.Second, 0.1, 10, 5 * time.Second}

// specially is Test.Special's default, and tells of each profile.
func specially(lt *Test, tell func(loadgen.Profile)) func(loadgen.Profile) (Load, error) {
	return func(p loadgen.Profile) (Load, error) {
		tell(p)
		own := *lt
		own.Profile = p
		return own.Generator(false)
	}
}

// A proxy that accepts ten tunnels carries ten calls, and that is what gives way. (The known answers that
// must be exact are internal/knownanswers.)
func TestSizeTunnels(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{Tunnels: 10})
	lt := newTest(t, "audio", turn, d)
	lt.Objectives = untimed()
	special := 0
	lt.Special = specially(lt, func(loadgen.Profile) { special++ })
	r, err := lt.Size(t.Context(), Sizing{Quick: true, Most: 100, Demand: measure.Demand{Concurrent: 70, HoldingS: 60}, times: brief})
	if err != nil || r.Size == nil {
		t.Fatal(err, r.Reasons)
	}
	if special == 0 {
		t.Error("the idle tunnels came from elsewhere")
	}
	s := r.Size
	// On a machine that others keep busy tunnels may end so late that fewer than ten are free.
	if s.Capacity < 7 || s.Capacity > 10 || s.GaveWay != sizing.Tunnels || s.AtLeast || r.Verdict != measure.Pass {
		for _, step := range r.Steps {
			t.Logf("%s: %s, opened %d of %d, %v, %v", step.Name, step.Verdict, step.Tunnels.Opened, step.Tunnels.Wanted, step.Tunnels.Causes, step.Reasons)
		}
		t.Fatalf("capacity %d (%s), gave way %q because %q, verdict %s; want 10 by %q", s.Capacity, s.Confirmed, s.GaveWay, s.Why, r.Verdict, sizing.Tunnels)
	}
	if want := (100+s.Capacity-1)/s.Capacity + 1; s.Proxies != want || s.Binding != sizing.MeasuredCapacity {
		t.Errorf("%d proxies by %s, want %d for 70 calls: %s", s.Proxies, s.Binding, want, s.Sentence)
	}
	if len(s.Model) > 0 || !strings.Contains(strings.Join(r.Unknown, ";"), "no probe") {
		t.Errorf("a cost model without the proxy's CPU: %v, unknown %q", s.Model, r.Unknown)
	}
	checkSchema(t, r)
}

// With an echo peer, and nothing but the proxy that leads to the TURN server, the same answer comes out, for calls
// that weigh as much each way; and it says what nobody asked.
func TestSizeToEchoPeer(t *testing.T) {
	t.Parallel()
	localhost := netip.MustParsePrefix("127.0.0.1/32")
	peer, err := loadgen.ListenEcho("127.0.0.1:0", []netip.Prefix{localhost})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { served <- peer.Serve(ctx) }()
	defer func() { cancel(); <-served; peer.Close() }()
	_, d := startProxy(t, testproxy.Limits{Tunnels: 10})
	lt := newTest(t, "screen", startServer(t, localhost), d) // of which nearly all goes one way
	lt.Objectives = untimed()
	lt.Peer, lt.NoBaseline = peer.Addr(), true
	lt.Direct = func(context.Context) (net.Conn, []loadgen.Phase, error) {
		t.Error("something went without the proxy")
		return nil, nil, errors.New("there is no other way")
	}
	echoed := map[string]bool{}
	lt.Special = specially(lt, func(p loadgen.Profile) { echoed[p.Name] = p.Echo })
	r, err := lt.Size(t.Context(), Sizing{Quick: true, Most: 100, Demand: measure.Demand{Concurrent: 70, HoldingS: 60}, times: brief})
	if err != nil || r.Size == nil {
		t.Fatal(err, r.Reasons)
	}
	// One end of each call is the peer's, so a tunnel is a call; and a proxy sees late that tunnels ended.
	if s := r.Size; s.Capacity < 7 || s.Capacity > 10 || s.GaveWay != sizing.Tunnels || !slices.Contains(s.Why, unasked) || r.Verdict != measure.Pass {
		t.Errorf("capacity %d, gave way %q because %q, verdict %s; want 10 by %q, and what nobody asked", s.Capacity, s.GaveWay, s.Why, r.Verdict, sizing.Tunnels)
	}
	if r.Steps[0].Direct || r.Steps[0].Calls != 1 || r.Path.Direction != measure.HalfRoundTrip || !echoed["idle"] {
		t.Errorf("it began with %q, %v; direction %s; profiles that are echoed: %v", r.Steps[0].Name, r.Steps[0].Direct, r.Path.Direction, echoed)
	}
	checkSchema(t, r)
}

// A proxy that adds more than the objective allows carries nothing, and delay is named.
func TestSizeDelay(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{Delay: 400 * time.Millisecond}) // far more than a busy machine adds by itself
	r, err := newTest(t, "audio", turn, d).Size(t.Context(), Sizing{Quick: true, Demand: measure.Demand{Concurrent: 70}, times: brief})
	if err != nil || r.Size == nil {
		t.Fatal(err, r.Reasons)
	}
	if s := r.Size; s.Capacity != 0 || s.GaveWay != sizing.DelayOnly || r.Verdict != measure.Fail {
		t.Errorf("capacity %d, gave way %q because %q, verdict %s; want none by %q", s.Capacity, s.GaveWay, s.Why, r.Verdict, sizing.DelayOnly)
	}
}

// Whatever the capacity, the steps tell the terms of the cost model apart.
func TestCostStepsDesign(t *testing.T) {
	profile, err := loadgen.FindProfile("720p")
	if err != nil {
		t.Fatal(err)
	}
	for _, calls := range []int{1, 8, 64, 500, 5000} {
		for _, quick := range []bool{true, false} {
			p := sizing.Proxy{Capacity: sizing.Found{Calls: calls}, Mbps: profile.Mbps(), Writes: profile.Writes(), Logins: 60}
			points := []sizing.Point{{Name: "at rest"}, {Name: "idle tunnels", Load: sizing.Load{Tunnels: 200}}}
			for _, c := range costSteps(p, quick) {
				if err := c.profile.Validate(); err != nil {
					t.Errorf("%d calls, quick %v: %v", calls, quick, err)
				}
				l := loadOf(measure.Step{Calls: c.calls}, c.profile)
				l.Connects = 2 * c.churn
				points = append(points, sizing.Point{Name: c.name, Load: l, Cores: 0.01 + l.Mbps*4e-4 + l.Writes*2e-5 + l.Connects*1e-3})
			}
			if _, err := sizing.Fit(points); err != nil {
				t.Errorf("%d calls, quick %v: %v", calls, quick, err)
			}
		}
	}
}

// What fails without the proxy as well says nothing about the proxy.
func TestDoubtful(t *testing.T) {
	base := &measure.Step{Direct: true, Up: flow(1, 2, 0), Down: flow(1, 2, 0)}
	steady, opening := split(Objectives())
	for _, c := range []struct {
		name string
		step measure.Step
		want string
	}{
		{"good", measure.Step{Direct: true, Calls: 50, Up: flow(1, 3, 0), Down: flow(1, 3, 0)}, ""},
		{"slow as well", measure.Step{Direct: true, Calls: 50, Up: flow(1, 90, 0), Down: flow(1, 3, 0)}, "without the proxy 50 calls do not pass either (added_p95_ms is"},
		{"void", measure.Step{Direct: true, Verdict: measure.Void, Reasons: []string{"late"}}, "late"},
	} {
		got := fmt.Sprint(doubtful(c.step, base, steady))
		if !strings.Contains(got, c.want) || c.want == "" && got != "[]" {
			t.Errorf("%s: %s, want %q", c.name, got, c.want)
		}
	}
	if len(opening) != 3 || len(steady) != len(Objectives())-2 {
		t.Errorf("%d objectives of opening, %d of what is open", len(opening), len(steady))
	}
}

// A step with too many calls tells how many there could be.
func TestLikely(t *testing.T) {
	both := func(scheduled int64) measure.Flow { return measure.Flow{Scheduled: scheduled} }
	for _, c := range []struct {
		name string
		step measure.Step
		want int
	}{
		{"all is well", measure.Step{Verdict: measure.Pass, Calls: 8, Tunnels: measure.Tunnels{Wanted: 8, Opened: 8}}, 0},
		{"not all opened", measure.Step{Verdict: measure.Fail, Calls: 128, Tunnels: measure.Tunnels{Wanted: 64, Opened: 28}}, 92},
		// Of 50 Mbit/s each way, 720p.
		{"not all came", measure.Step{Verdict: measure.Fail, Calls: 64, Seconds: 3, Up: both(37_500), Down: both(37_500), Figures: map[string]float64{"mean_received_pps": 15_750}}, 38},
		{"late, but all came", measure.Step{Verdict: measure.Fail, Calls: 64, Seconds: 3, Up: both(37_500), Down: both(37_500), Figures: map[string]float64{"mean_received_pps": 25_000}}, 0},
		{"void", measure.Step{Verdict: measure.Void, Calls: 64, Tunnels: measure.Tunnels{Wanted: 64, Opened: 28}}, 0},
	} {
		if got := likely(&c.step); got != c.want {
			t.Errorf("%s: %d calls, want %d", c.name, got, c.want)
		}
	}
}

// Where tunnels wait, fewer open than are offered: all that there are to replace are waiting.
func TestKeptUp(t *testing.T) {
	for _, c := range []struct {
		opened int
		want   string
	}{{10 + 60, ""}, {10 + 58, ""}, {10 + 40, "of 20 tunnels per second 13.3 opened"}} {
		s := measure.Step{Calls: 10, Seconds: 3, Tunnels: measure.Tunnels{Wanted: 70, Opened: c.opened}}
		if got := keptUp(s, 20); got != c.want {
			t.Errorf("%d opened: %q, want %q", c.opened, got, c.want)
		}
	}
}

// Two helpers that take 100 ms each serve 20 tunnels per second, of 36 that are offered. (The figures
// are of a run against such a proxy.)
func TestServed(t *testing.T) {
	step := measure.Step{Verdict: measure.Fail, Calls: 18, Seconds: 3, Tunnels: measure.Tunnels{Wanted: 94, Opened: 94, Unreplaced: 14}, Figures: map[string]float64{ConnectP95: 900}}
	if got := served(&step); got < 19 || got > 20 {
		t.Errorf("%.1f per second, want nearly 20", got)
	}
	step.Tunnels.Wanted = 95
	if got := served(&step); got != 0 {
		t.Errorf("%.1f per second where some were refused", got)
	}
}

// A search that was interrupted says how far it had come, and nothing of a capacity.
func TestSizeInterrupted(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	lt := newTest(t, "audio", turn, d)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lt.StepDone = func(s measure.Step) {
		if s.Kind == "search" {
			cancel()
		}
	}
	r, err := lt.Size(ctx, Sizing{Demand: measure.Demand{Concurrent: 100}, Most: 64, times: brief})
	if err != nil || !r.Partial || r.Verdict != measure.Void || r.Size != nil || len(r.Reasons) == 0 || !strings.HasPrefix(r.Reasons[0], "the search for the capacity did not come to its end") {
		t.Errorf("partial %v, %s, size %v, because %q, %v", r.Partial, r.Verdict, r.Size, r.Reasons, err)
	}
}
