package loadtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/proxyconnect"
)

// descriptors leaves of a watch what it says of descriptors. Without CPU there is no cost model, which
// would take longer than all else here.
type descriptors struct{ Watch }

func (d descriptors) Sample(ctx context.Context) (map[string]float64, error) {
	all, err := d.Watch.Sample(ctx)
	kept := make(map[string]float64)
	for name, v := range all {
		if strings.HasPrefix(name, "proc.fd") {
			kept[name] = v
		}
	}
	return kept, err
}

// A real Squid that may have few descriptors accepts nobody when it comes to its reserve: it answers
// nothing at all, and that its descriptors are why must be told from outside.
func TestSizeSquidDescriptors(t *testing.T) {
	peers.Need(t, "squid", "basic_ncsa_auth", "htpasswd")
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stack, err := realstack.Start(ctx, realstack.Config{
		Users: []realstack.User{{Name: "alice", Password: "secret"}}, Only: []string{"squid/basic"}, SquidExtra: "max_filedescriptors 30",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stack.Close() })
	squid := stack.Proxies()[0]
	d := &proxyconnect.Dialer{Proxy: squid.URL, Budget: new(proxyconnect.Budget)}
	if err := (credentials.Spec{Auth: "basic", User: "alice", Password: "secret"}).Apply(d); err != nil {
		t.Fatal(err)
	}
	lt := newTest(t, "audio", startServer(t), d)
	lt.Objectives = []measure.Objective{{Metric: OpenedShare, Limit: 0.999}} // how fast it is, is this machine's matter
	w, err := WatchProcess(squid.PID)
	if err != nil {
		t.Fatal(err)
	}
	lt.Watches = []Watch{descriptors{w}}
	r, err := lt.Size(t.Context(), Sizing{Quick: true, Most: 100, Demand: measure.Demand{Concurrent: 70, HoldingS: 60}, times: &lengths{
		baseline: time.Second, step: 2500 * time.Millisecond, confirm: 400 * time.Millisecond, model: 400 * time.Millisecond, // a look at the process each second
		search: 30 * time.Second, logins: time.Second, precision: 0.1, idle: 30, patience: time.Second,
	}})
	if err != nil || r.Size == nil {
		t.Fatal(err, r.Reasons)
	}
	s := r.Size
	t.Logf("%s\n%s", s.Sentence, strings.Join(s.Why, "\n"))
	// 30, of which about 15 are taken at rest; a tunnel takes two.
	if s.Capacity < 4 || s.Capacity > 9 || s.GaveWay != sizing.DescriptorLimit || s.AtLeast {
		t.Errorf("capacity %d, gave way %q because %q, at least %v; want about 8 by %q", s.Capacity, s.GaveWay, s.Why, s.AtLeast, sizing.DescriptorLimit)
	}
}
