package diagnosis_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/proxyconnect"
)

// stuck is a connection attempt, or a name server, that never answers.
func stuck(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// Whichever stage meets silence, it ends by its deadline, fails, and names what it waited for; the
// stages after it cost nothing.
func TestSilenceAtEachStage(t *testing.T) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts for it. A proxy would answer one ClientHello in fifty, which has an empty line in it
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	const timeout = 300 * time.Millisecond
	for _, c := range []struct {
		stage  string
		waits  string
		fault  string                 // of the proxy
		after  string                 // the stage after which the proxy passes nothing on
		change func(*diagnosis.Check) // of the check
		limit  time.Duration          // of the stage
	}{
		{stage: diagnosis.StageResolve, waits: "the name server", change: func(c *diagnosis.Check) { c.Dialer.Proxy = "http://proxy.test:1" }},
		{stage: diagnosis.StageTCP, waits: "the proxy to accept", change: func(c *diagnosis.Check) { c.Dialer.DialProxy = stuck }},
		{stage: diagnosis.StageProxyTLS, waits: "TLS handshake", change: func(c *diagnosis.Check) { c.Dialer.Proxy = "https://" + mute.Addr().String() }},
		{stage: diagnosis.StageConnect, waits: "answer to CONNECT", fault: "hang"},
		{stage: diagnosis.StageAuth, waits: "answer to credentials", fault: "auth.slow=1m", limit: 3 * timeout},
		{stage: diagnosis.StageTURNTLS, waits: "the TURN server's part", after: diagnosis.StageTunnel},
		{stage: diagnosis.StageBinding, waits: "Binding", after: diagnosis.StageTURNTLS},
		{stage: diagnosis.StageAllocate, waits: "Allocate", after: diagnosis.StageBinding},
		{stage: diagnosis.StageMedia, waits: "second tunnel", after: diagnosis.StageAllocate, limit: 3 * timeout},
	} {
		t.Run(c.stage, func(t *testing.T) {
			p := &testproxy.Proxy{Host: "localhost", Limits: testproxy.Limits{Stalls: true}, Schemes: []testproxy.Scheme{testproxy.Basic("lab", func(string, string) bool { return true })}}
			if c.fault != "" {
				p.Faults = []testproxy.Fault{testproxy.MustFault(c.fault)}
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			d := &proxyconnect.Dialer{Proxy: p.URL(), TLS: l.ClientTLS}
			if err := (credentials.Spec{Auth: "basic", User: "alice", Password: "pw"}).Apply(d); err != nil {
				t.Fatal(err)
			}
			check := &diagnosis.Check{Dialer: d, Timeout: timeout, Quick: true, TURN: diagnosis.TURN{
				Address: l.TURN.TLS, Secure: true, TLS: l.ClientTLS, User: l.TURN.User.Name, Password: credentials.Secret(l.TURN.User.Password)}}
			if c.change != nil {
				c.change(check)
			}
			check.Progress = func(s diagnosis.Stage) {
				if s.Name == c.after {
					p.Stall(time.Minute)
				}
			}
			usual := net.DefaultResolver
			net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: stuck} // of names that no hosts file has
			defer func() { net.DefaultResolver = usual }()
			start := time.Now()
			r := check.Run(t.Context())
			failure, failed := r.Failure()
			if !failed || failure.Name != c.stage || failure.Kind != diagnosis.KindTimeout && failure.Kind != diagnosis.KindSecond {
				t.Fatalf("got %+v, want a time-out of %s", failure, c.stage)
			}
			if !strings.Contains(failure.Error, c.waits) {
				t.Errorf("error %q does not say that it waited for %s", failure.Error, c.waits)
			}
			limit := c.limit
			if limit == 0 {
				limit = timeout
			}
			if took := time.Since(start); took > limit+timeout+time.Second { // the way beside has a deadline, too
				t.Errorf("it took %v, the stage has %v", took, limit)
			}
			if findings := diagnosis.Explain(r); len(findings) == 0 || findings[0].Code == "path.other" {
				t.Errorf("findings %v", findings)
			}
		})
	}
}

// A path that falls silent while it is measured ends by the deadlines, too, and is not called sound.
func TestSilenceInMeasurements(t *testing.T) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // after the parallel tests
	const timeout = time.Second
	for _, after := range []string{diagnosis.StageMedia, diagnosis.StageSizes} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			p := &testproxy.Proxy{Host: "localhost", Limits: testproxy.Limits{Stalls: true}}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			check := &diagnosis.Check{Dialer: &proxyconnect.Dialer{Proxy: p.URL()}, Timeout: timeout, Reconnect: 1, Idle: []time.Duration{time.Millisecond}, Lifetime: time.Second,
				TURN: diagnosis.TURN{Address: l.TURN.TCP, User: l.TURN.User.Name, Password: credentials.Secret(l.TURN.User.Password)}}
			check.Progress = func(s diagnosis.Stage) {
				if s.Name == after {
					p.Stall(time.Minute)
				}
			}
			start := time.Now()
			r := check.Run(t.Context())
			// Quality and bursts have 2 and 4 s of their own, all stages together 40 time-outs at most.
			if took := time.Since(start); took > 6*time.Second+40*timeout {
				t.Errorf("it took %v", took)
			}
			if r.Stage(after).Outcome != diagnosis.OK {
				t.Errorf("stages %+v, want all up to %s sound", r.Stages, after)
			}
			if findings := diagnosis.Explain(r); len(findings) == 0 || findings[0].Code == "path.other" {
				t.Errorf("findings %v of %+v", findings, r.Stages)
			}
		})
	}
}
