package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/internal/attempts"
)

// A sound path has no reservation, and says how well it carries media.
func TestCheckQuality(t *testing.T) {
	b := newCheckBench(t)
	for _, p := range b.lab.Proxies {
		if p.Scheme == lab.SchemeNTLM && p.TLS {
			attempts.Measure(t, func(errorf func(string, ...any)) { checkSound(t, b, p.URL, errorf) })
			return
		}
	}
	t.Fatal("no proxy")
}

// checkSound checks a path. What a busy machine spoils goes to errorf.
func checkSound(t *testing.T, b *checkBench, proxy string, errorf func(string, ...any)) {
	t.Helper()
	c := b.check(t, b.args(proxy, "ntlm", true, "--idle", "100ms,300ms", "--reconnect", "3", "--policy", "--lifetime", "1500ms"))
	if c.status != exitOK || len(b.proxys(t, c.Findings)) > 0 {
		errorf("exit status %d, findings %v, want 0 and none:\n%s", c.status, c.Findings, c.text)
	}
	if q := c.Quality; q == nil || q.Up.Received != q.Up.Sent || q.Down.Received != 100 || q.Up.P50 <= 0 {
		errorf("quality %+v, want all of 100 packets each way", q)
	}
	if c.Rate == nil || c.Rate.Up < 1 || c.Rate.Down < 1 || c.MaxPacket != 60000 {
		errorf("throughput %+v, packets up to %d; want more than 1 Mbit/s, 60000", c.Rate, c.MaxPacket)
	}
	if s := c.Bursts; s == nil || s.Up.Second > 25 || s.Down.Second > 25 || s.Up.Frame <= 0 {
		errorf("bursts %+v, want no waiting for acknowledgements", s)
	}
	if len(c.Policy) != 4 || c.Policy[0].Status != 503 || c.Policy[3].Status != 200 || !c.Policy[0].Credentials {
		t.Errorf("policy %+v, want nothing at the usual ports, and the address let in", c.Policy)
	}
	if e := c.Endurance; e == nil || len(e.Reconnects) != 3 || e.Reconnects[0] <= 0 || e.Survived != 0.3 || e.Cut || e.Lived < 1.5 {
		t.Errorf("endurance %+v", e)
	}
}

// What a proxy can carry shows in a reservation.
func TestCheckLimits(t *testing.T) {
	b := newCheckBench(t)
	for _, c := range []struct {
		limits testproxy.Limits
		want   string
	}{
		{testproxy.Limits{Delay: 200 * time.Millisecond}, "media.delay"},
		{testproxy.Limits{Mbps: 0.5}, "media.slow"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			p := &testproxy.Proxy{Limits: c.limits, Host: "localhost"}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			attempts.Measure(t, func(errorf func(string, ...any)) { // lone packets that come in bursts are another finding
				got := b.check(t, b.args(p.URL(), "none", false))
				if got.status != exitOK || !strings.Contains(got.text, "works, with a reservation") || !slices.ContainsFunc(got.Findings, func(f diagnosis.Finding) bool { return f.Code == c.want }) {
					errorf("exit status %d, findings %v; want 0, %q\n%s", got.status, got.Findings, c.want, got.text)
				}
			})
		})
	}
}

// proxys are the findings about a proxy. Those about media are not, while a proxy of ours without fault has
// one of them, too: this machine is too busy to tell.
func (b *checkBench) proxys(t *testing.T, all []diagnosis.Finding) []diagnosis.Finding {
	t.Helper()
	isMedia := func(f diagnosis.Finding) bool { return strings.HasPrefix(f.Code, "media.") }
	if !slices.ContainsFunc(all, isMedia) {
		return all
	}
	p := &testproxy.Proxy{Host: "localhost"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	control := b.check(t, b.args(p.URL(), "none", true)).Findings
	t.Logf("%v; a proxy without fault: %v", all, control)
	if !slices.ContainsFunc(control, isMedia) {
		return all
	}
	return slices.DeleteFunc(all, isMedia)
}
