package loadtest

import (
	"context"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/internal/attempts"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer starts a TURN server.
func startServer(t testing.TB, allowed ...netip.Prefix) TURN {
	t.Helper()
	s, err := turntcp.NewServer(turntcp.Config{
		AllowPeers: allowed,
		Realm:      "test", RelayIP: netip.MustParseAddr("127.0.0.1"),
		Credentials: turntcp.StaticCredentials(map[string]string{"user": "password"}),
		// On a busy machine what comes late comes all the same.
		MaxQueueDelay: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	addr, err := s.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return TURN{Address: addr.String(), User: "user", Password: "password"}
}

// startProxy starts a proxy with limits that wants alice's password by Basic.
func startProxy(t testing.TB, l testproxy.Limits) (*testproxy.Proxy, *proxyconnect.Dialer) {
	t.Helper()
	p := &testproxy.Proxy{Limits: l, Schemes: []testproxy.Scheme{testproxy.Basic("lab", func(u, pw string) bool { return u == "alice" && pw == "secret" })}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, dialer(t, p, "secret")
}

func dialer(t testing.TB, p *testproxy.Proxy, password string) *proxyconnect.Dialer {
	t.Helper()
	d := &proxyconnect.Dialer{Proxy: p.URL(), Budget: new(proxyconnect.Budget)}
	if err := (credentials.Spec{Auth: "basic", User: "alice", Password: credentials.Secret(password)}).Apply(d); err != nil {
		t.Fatal(err)
	}
	return d
}

func newTest(t testing.TB, profile string, turn TURN, d *proxyconnect.Dialer) *Test {
	t.Helper()
	p, err := loadgen.FindProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	return &Test{
		Proxied: Way(d, turn), Direct: Way(nil, turn), TURN: turn, Profile: p, Objectives: Objectives(), Baseline: time.Second,
		MaxLateness: time.Second, AnyMachine: true, // other tests keep this machine busy
		Path: measure.Path{Proxy: d.Proxy, TURN: turn.String()},
	}
}

// untimed are objectives that a slow machine keeps.
func untimed() []measure.Objective {
	return []measure.Objective{{Metric: OpenedShare, Limit: 0.999}, {Metric: LostTunnels, Max: true}}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	lt := newTest(t, "audio", turn, d)
	watch, err := WatchProcess(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	lt.Watches = []Watch{watch}
	r, err := lt.Load(t.Context(), []loadgen.Step{{Calls: 3, Duration: 3 * time.Second}, {Calls: 5, Duration: time.Second}})
	if err != nil || len(r.Steps) != 3 || !r.Steps[0].Direct || r.Partial {
		t.Fatalf("%d steps, %v, %+v; want a baseline and two", len(r.Steps), err, r.Reasons)
	}
	s := r.Steps[1]
	if s.Up.Received != s.Up.Scheduled || s.Figures[AddedP50] < 0 || s.Figures[OpenedShare] != 1 || s.Figures[ConnectP95] <= 0 {
		t.Errorf("figures %v", s.Figures)
	}
	if r.Steps[2].Start <= s.Start || r.Steps[2].Figures[OpenedShare] != 1 {
		t.Errorf("the second step began at %v, the first at %v", r.Steps[2].Start, s.Start)
	}
	if len(r.Rows) < 3 || r.Rows[2].Values["proc.cpu_cores"] <= 0 || s.Figures["mean_proc.cpu_cores"] <= 0 {
		t.Errorf("rows %+v, mean %v", r.Rows, s.Figures["mean_proc.cpu_cores"])
	}
	if v := r.Rows[len(r.Rows)-1].Values; v["tcp.rtt_ms_mean"] <= 0 || v["tcp.rtt_ms_max"] < v["tcp.rtt_ms_mean"] {
		t.Errorf("our sockets: %v", v)
	}
	for _, name := range []string{"tcp", "connect-1", "connect", "allocate", "bind", "first-media", "total"} {
		if !slices.ContainsFunc(s.Setup, func(p measure.Phase) bool { return p.Name == name && p.Took.Count() == 3 }) {
			t.Errorf("phase %s was not measured three times: %+v", name, s.Setup)
		}
	}
	checkSchema(t, r)
}

// What a proxy cannot carry breaks the objective that says so.
func TestLoadFails(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	for _, c := range []struct {
		name   string
		limits testproxy.Limits
		want   string
	}{
		{"delay", testproxy.Limits{Delay: 100 * time.Millisecond}, AddedP95},
		{"tunnels", testproxy.Limits{Tunnels: 2}, OpenedShare},
		{"rate", testproxy.Limits{Mbps: 0.05}, LateShare(100)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, d := startProxy(t, c.limits)
			r, err := newTest(t, "audio", turn, d).Load(t.Context(), []loadgen.Step{{Calls: 4, Duration: 2 * time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != measure.Fail || !strings.Contains(strings.Join(r.Reasons, "\n"), c.want) {
				t.Errorf("verdict %s, %q; want a failure of %s", r.Verdict, r.Reasons, c.want)
			}
		})
	}
}

// A stall of a second in the proxy shows as it was, in the percentiles and in the verdict: packets that
// were due meanwhile were sent, and their delays count from when they were due.
func TestStallOfTheProxy(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	p, d := startProxy(t, testproxy.Limits{Stalls: true})
	attempts.Measure(t, func(errorf func(string, ...any)) { // what else this machine does delays packets, too
		s := stalled(t, p, newTest(t, "audio", turn, d))
		for name, f := range map[string]measure.Flow{"up": s.Up, "down": s.Down} {
			if f.Received != f.Scheduled {
				t.Errorf("%s: %d of %d packets came; a stall loses none", name, f.Received, f.Scheduled)
			}
			// What was due in the stalled quarter of the time waited from a second down to nothing.
			for _, want := range []struct{ share, least, most float64 }{{0.70, 0, 150}, {0.875, 350, 750}, {0.95, 650, 1000}, {0.99, 850, 1150}, {1, 950, 1400}} {
				if got := f.Delay.Milliseconds(want.share); got < want.least || got > want.most {
					errorf("%s: quantile %.3f is %.0f ms, want %.0f to %.0f", name, want.share, got, want.least, want.most)
				}
			}
			if late := f.Late[1].Share; math.Abs(late-0.225) > 0.06 { // 0.9 s of 4
				errorf("%s: %.1f %% came later than 100 ms, want about 22.5 %%", name, 100*late)
			}
		}
		if stalls := s.Streams[0].Stalls; stalls != 5 {
			errorf("%d stalls of audio, want one of each call", stalls)
		}
	})
}

// stalled is a step of five calls and four seconds, one of which the proxy stands still.
func stalled(t *testing.T, p *testproxy.Proxy, lt *Test) measure.Step {
	t.Helper()
	var once sync.Once
	lt.Progress = func(l Live) { // once a second
		if !l.Direct && l.Snapshot.Received > 0 {
			once.Do(func() { p.Stall(time.Second) })
		}
	}
	r, err := lt.Load(t.Context(), []loadgen.Step{{Calls: 5, Duration: 4 * time.Second}})
	if err != nil || r.Verdict != measure.Fail {
		t.Fatalf("verdict %s, %v; want a failure", r.Verdict, err)
	}
	return r.Steps[1]
}

// A rejected password costs one attempt.
func TestLoadRejected(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	p, _ := startProxy(t, testproxy.Limits{})
	_, err := newTest(t, "audio", turn, dialer(t, p, "wrong")).Load(t.Context(), []loadgen.Step{{Calls: 20, Duration: time.Second}})
	if err == nil || !Rejected(err) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v, want a rejection", err)
	}
	n := 0
	for _, a := range p.Attempts() {
		n += a.Rejected
	}
	if n != 1 {
		t.Errorf("%d attempts reached the verifier, want 1", n)
	}
}

// An interrupted run keeps what it has.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	lt := newTest(t, "audio", turn, d)
	lt.Objectives = untimed()
	lt.StepDone = func(s measure.Step) {
		if !s.Direct {
			cancel()
		}
	}
	r, err := lt.Load(ctx, []loadgen.Step{{Calls: 2, Duration: time.Second}, {Calls: 3, Duration: time.Hour}})
	if err != nil || !r.Partial || r.Verdict != measure.Void || len(r.Steps) < 2 || r.Steps[1].Up.Received == 0 {
		t.Errorf("partial %v, verdict %s, %d steps, %v", r.Partial, r.Verdict, len(r.Steps), err)
	}
}

// A run that goes on hands out what it has, marked partial.
func TestCheckpoint(t *testing.T) {
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	lt := newTest(t, "audio", turn, d)
	var kept []measure.Record
	lt.CheckpointEvery = 200 * time.Millisecond
	lt.Checkpoint = func(r measure.Record) { kept = append(kept, r) }
	whole, err := lt.Load(t.Context(), []loadgen.Step{{Calls: 2, Duration: time.Second}, {Calls: 3, Duration: time.Second}})
	if err != nil || whole.Partial || len(kept) < 5 {
		t.Fatalf("%d kept, the whole is partial: %v, %v", len(kept), whole.Partial, err)
	}
	last := kept[len(kept)-1]
	if !last.Partial || len(last.Steps) < 2 || last.Verdict == measure.Pass || last.Run != whole.Run || last.Seconds <= kept[0].Seconds {
		t.Errorf("the last one kept: partial %v, %d steps, verdict %s", last.Partial, len(last.Steps), last.Verdict)
	}
}
