package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// A Check is one path to look at. Run may be called again and concurrently as long as no field changes,
// but each run may cost one rejection of a wrong password.
type Check struct {
	// Dialer names the proxy and what there is to prove oneself with. Its Budget and Timeout are not
	// used: a run has one budget of one rejection, so that a wrong password costs one attempt.
	Dialer *proxyconnect.Dialer
	TURN   TURN

	// Find, where it is set, finds the proxy and makes the Dialer; the way may have none.
	Find ProxyFinder

	// Timeout is for each stage; authentication, which may ask several servers, has three times as
	// long. Default 10 s.
	Timeout time.Duration

	// TryAll tries each mechanism by itself, also after one got in or was rejected. A wrong password then
	// costs an attempt for each mechanism that uses it.
	TryAll bool

	// Quick ends the run when datagrams have come back, without asking how well.
	Quick bool

	// Policy also asks for tunnels to the usual ports of TURN and to the server's address, to learn the
	// proxy's rules.
	Policy bool

	// Reconnect is how many times to end a tunnel and make another one in its place.
	Reconnect int

	// Idle are silences after each of which the tunnel is asked whether it is still there, in their
	// order; after Lifetime of traffic every second it is asked no more. Default is neither.
	Idle     []time.Duration
	Lifetime time.Duration

	// Pings is how many datagrams the media stage sends, one after the other. Default 20.
	Pings int

	// Progress is called after each stage, by the goroutine of Run.
	Progress func(Stage)
}

const (
	defaultTimeout = 10 * time.Second
	defaultPings   = 20
	directTimeout  = 3 * time.Second // firewalls let the direct way run into nothing
)

// Run walks the path until a stage fails, then looks at the way without the proxy. It ends within the
// sum of the stages' deadlines, or soon after ctx does.
func (c *Check) Run(ctx context.Context) Report {
	own := *c
	w := &walk{Check: &own, budget: new(proxyconnect.Budget), report: &Report{
		Format: Format, Started: time.Now(), Target: c.TURN.Address, Secure: c.TURN.Secure,
	}}
	defer w.close()
	if c.Find != nil {
		w.Dialer = new(proxyconnect.Dialer) // until it is found
		w.step(ctx, stage{StageFind, w.findProxy, 3 * w.timeout(), "the PAC file, its script, or a proxy to accept a connection"})
	}
	w.report.Proxy = w.Dialer.Proxy
	w.host, w.port, w.secure = proxyAddress(w.Dialer.Proxy)
	for _, s := range w.stages() {
		w.step(ctx, s)
	}
	if ctx.Err() == nil && w.Policy && w.report.Proxy != "" {
		w.askPolicy(ctx)
	}
	if ctx.Err() == nil && !w.noProxy {
		w.direct(ctx)
	}
	w.report.Interrupted = ctx.Err() != nil
	return *w.report
}

// A walk is one run: what the stages leave for the ones after them.
type walk struct {
	*Check
	report            *Report
	budget            *proxyconnect.Budget
	host, port        string // of the proxy
	secure            bool
	failed            bool
	noProxy           bool                     // the way has none
	conn              net.Conn                 // to the proxy, then the tunnel
	tunnel            *observedConn            // the tunnel, to see what passes
	chosen            []proxyconnect.Mechanism // that got in by itself
	tunnelErr         error                    // of a request that was let in and led nowhere
	last              time.Duration            // what the last CONNECT took
	near, far         *turntcp.Client
	nearRelay         turntcp.Allocation
	up, down          uint16    // channels
	nearSink, farSink sink      // what arrives
	opened            time.Time // the near end's tunnel
}

// A stage does its work and returns its evidence.
type stage struct {
	name  string
	run   func(context.Context) (detail string, err error)
	limit time.Duration
	waits string // for what, should it time out
}

// skipped is the error of a stage that there is no need for.
type skipped string

func (s skipped) Error() string { return string(s) }

func (w *walk) stages() []stage {
	t := w.timeout()
	all := []stage{
		{StageResolve, w.resolve, t, "the name server's answer about " + w.host},
		{StageTCP, w.connectProxy, t, "the proxy to accept the connection"},
		{StageProxyTLS, w.secureProxy, t, "the proxy's part of the TLS handshake"},
		{StageConnect, w.ask, t, "the proxy's answer to CONNECT"},
		{StageAuth, w.authenticate, w.authLimit(), "the proxy's answer to credentials, or a KDC"},
		{StageTunnel, w.enterTunnel, t, "the tunnel"},
		{StageTURNTLS, w.secureTunnel, t, "the TURN server's part of the TLS handshake"},
		{StageBinding, w.bind, t, "the answer to a Binding request"},
		{StageAllocate, w.allocate, t, "the answer to an Allocate request"},
		{StageMedia, w.media, 3 * t, "a second tunnel, its allocation and channels, or a datagram"},
	}
	if w.noProxy {
		for i := range all[:slices.IndexFunc(all, func(s stage) bool { return s.name == StageTunnel })] {
			all[i].run = noProxyStage
		}
	}
	if !w.Quick {
		all = append(all, stage{StageQuality, w.quality, 2*qualityTime + t, "packets"}, stage{StageRate, w.rate, 2 * t, "packets"},
			stage{StageBursts, w.bursts, burstsTime + t, "packets"}, stage{StageSizes, w.sizes, 3 * t, "packets"})
	}
	if w.Reconnect > 0 {
		all = append(all, stage{StageReconnect, w.reconnects, time.Duration(w.Reconnect) * 3 * t, "a new tunnel or its allocation"})
	}
	if len(w.Idle) > 0 {
		limit := 4 * t
		for _, silence := range w.Idle {
			limit += silence + 2*t
		}
		all = append(all, stage{StageIdle, w.idle, limit, "an answer of the TURN server"})
	}
	if w.Lifetime > 0 {
		all = append(all, stage{StageLifetime, w.lifetime, w.Lifetime + 6*t, "an answer of the TURN server"})
	}
	return all
}

// authLimit is three time-outs, for each mechanism where each is tried.
func (w *walk) authLimit() time.Duration {
	if w.TryAll {
		return time.Duration(max(1, len(w.Dialer.Mechanisms))) * 3 * w.timeout()
	}
	return 3 * w.timeout()
}

func (w *walk) step(ctx context.Context, s stage) {
	done := Stage{Name: s.name, Outcome: NotReached}
	if !w.failed {
		done = w.try(ctx, s)
		w.failed = done.Outcome == Failed
	}
	w.report.Stages = append(w.report.Stages, done)
	if w.Progress != nil {
		w.Progress(done)
	}
}

func (w *walk) try(ctx context.Context, s stage) Stage {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	start := time.Now()
	detail, err := s.run(ctx)
	done := Stage{Name: s.name, Outcome: OK, Detail: detail, Milliseconds: milliseconds(time.Since(start))}
	if s.name == StageTunnel {
		done.Milliseconds = milliseconds(w.last)
	}
	var skip skipped
	switch {
	case errors.As(err, &skip):
		done.Outcome, done.Detail = Skipped, string(skip)
	case err != nil:
		done.Outcome, done.Kind, done.Error = Failed, kindOf(err), errorText(err)
		if done.Kind == KindTimeout || errors.Is(err, context.DeadlineExceeded) {
			done.Error = fmt.Sprintf("waited %v for %s: %s", time.Since(start).Round(time.Millisecond), s.waits, done.Error)
		}
	}
	return done
}

// errorText leaves out of a dial's error what the report holds elsewhere.
func errorText(err error) string {
	if ce, ok := err.(*proxyconnect.ConnectError); ok {
		return ce.Err.Error()
	}
	return err.Error()
}

func (w *walk) timeout() time.Duration {
	if w.Timeout <= 0 {
		return defaultTimeout
	}
	return w.Timeout
}

// close ends what the walk has opened.
func (w *walk) close() {
	for _, c := range []*turntcp.Client{w.near, w.far} {
		if c != nil {
			c.Close()
		}
	}
	if w.conn != nil {
		w.conn.Close()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
