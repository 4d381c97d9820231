package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/proxyconnect"
)

// authenticate opens the tunnel with credentials, where the proxy asks for them.
func (w *walk) authenticate(ctx context.Context) (string, error) {
	if w.report.Answer == nil {
		return "", skipped("the proxy asks for none")
	}
	if w.TryAll && len(w.Dialer.Mechanisms) > 0 {
		return w.tryEach(ctx)
	}
	conn, attempts, err := w.observe(ctx, w.proven())
	w.report.Attempts = attempts
	if err == nil {
		w.conn = conn
		info := conn.(*proxyconnect.Conn).Info()
		return fmt.Sprintf("%s accepted, requests: %d, connections: %d", info.Mechanism, info.Legs, info.Dials), nil
	}
	return "", w.denied(ctx, err)
}

// tryEach gives each mechanism a connection and a budget of its own, so that a wrong password costs an
// attempt for each one that uses it. The first that gets in is the one to go on with.
func (w *walk) tryEach(ctx context.Context) (detail string, err error) {
	var words []string
	for _, m := range w.Dialer.Mechanisms {
		d := w.proven()
		d.Mechanisms, d.Budget = []proxyconnect.Mechanism{m}, new(proxyconnect.Budget)
		conn, attempts, failure := w.observe(ctx, d)
		w.report.Attempts = append(w.report.Attempts, attempts...)
		words = append(words, fmt.Sprintf("%s %s", attempts[0].Mechanism, attempts[0].Outcome))
		switch {
		case failure != nil:
			err = worthier(err, failure)
		case w.conn != nil:
			conn.Close()
		default:
			w.conn, w.chosen = conn, d.Mechanisms
		}
	}
	detail = strings.Join(words, ", ")
	if w.conn != nil {
		return detail, nil
	}
	return detail, w.denied(ctx, err)
}

// worthier is the failure that tells more: to have been let in and refused the tunnel, then to have
// been rejected, then the first one that is not for want of an offer.
func worthier(a, b error) error {
	for _, cause := range []error{proxyconnect.ErrRefused, proxyconnect.ErrRejected} {
		if errors.Is(a, cause) || errors.Is(b, cause) {
			if errors.Is(a, cause) {
				return a
			}
			return b
		}
	}
	if a == nil || errors.Is(a, proxyconnect.ErrNoCommonScheme) {
		return b
	}
	return a
}

// denied passes on why no tunnel opened. After credentials anything but a challenge says that they were
// taken: then it is the next stage that fails.
func (w *walk) denied(ctx context.Context, err error) error {
	if !errors.Is(err, proxyconnect.ErrRefused) {
		return err
	}
	w.tunnelErr = err
	if status := w.report.Refusal.status(); status/100 == 4 && w.TURN.port() != "443" {
		w.probeOnce(ctx, ProbePort, net.JoinHostPort(w.TURN.host(), "443"), w.proven())
	}
	return nil
}

// dial opens another tunnel like the first one.
func (w *walk) dial(ctx context.Context) (net.Conn, error) {
	if w.noProxy {
		return new(net.Dialer).DialContext(ctx, "tcp", w.TURN.Address)
	}
	return w.proven().DialContext(ctx, "tcp", w.TURN.Address)
}

// observe dials, and says what became of each mechanism.
func (w *walk) observe(ctx context.Context, d *proxyconnect.Dialer) (net.Conn, []Attempt, error) {
	var seen []*observation
	d.Mechanisms = slices.Clone(d.Mechanisms)
	for i := range d.Mechanisms {
		o := new(observation)
		o.watch(&d.Mechanisms[i])
		seen = append(seen, o)
	}
	before := len(w.report.Requests)
	conn, err := d.DialContext(proxyconnect.WithTrace(ctx, w.trace()), "tcp", w.TURN.Address)
	var ce *proxyconnect.ConnectError
	if errors.As(err, &ce) {
		w.report.Refusal = answerOf(ce)
	}
	list := attempts(seen, conn, err)
	for i := range list {
		for _, q := range w.report.Requests[before:] {
			if q.Mechanism == list[i].Mechanism {
				list[i].Requests++
			}
		}
	}
	return conn, list, err
}

// proven is the dialer with the run's budget, and with the mechanism that is known to get in.
func (w *walk) proven() *proxyconnect.Dialer {
	d := *w.Dialer
	d.Budget, d.Timeout = w.budget, 3*w.timeout()
	if w.chosen != nil {
		d.Mechanisms = w.chosen
	}
	return &d
}

// maxRequests bounds what is kept of a dial's requests.
const maxRequests = 32

// trace keeps the requests and the time of the last one.
func (w *walk) trace() *proxyconnect.Trace {
	var start time.Time
	return &proxyconnect.Trace{
		ConnectStart: func(mechanism string) {
			start = time.Now()
			if len(w.report.Requests) < maxRequests {
				w.report.Requests = append(w.report.Requests, Request{Mechanism: mechanism})
			}
		},
		ResponseReceived: func(r proxyconnect.Response) {
			w.last = time.Since(start)
			last := &w.report.Requests[len(w.report.Requests)-1]
			last.Status, last.Reason, last.KeepAlive = r.Status, clip(r.Reason), r.KeepAlive
			for _, scheme := range r.Offered[:min(len(r.Offered), 16)] {
				last.Offered = append(last.Offered, clip(scheme))
			}
		},
	}
}

// attempts puts together what the dialer says of the mechanisms and what they said themselves: of a
// dial that succeeded the dialer does not tell which ones gave way.
func attempts(seen []*observation, conn net.Conn, err error) (list []Attempt) {
	accepted := ""
	if tunnel, ok := conn.(*proxyconnect.Conn); ok && tunnel != nil {
		accepted = tunnel.Info().Mechanism
	}
	var ce *proxyconnect.ConnectError
	errors.As(err, &ce)
	for _, o := range seen {
		a := Attempt{Mechanism: o.name, Outcome: NotOffered, NTLM: o.ntlm, Ticket: o.ticket(), KDC: o.kdc}
		switch i := indexOf(ce, o.name); {
		case i >= 0:
			a.Error = ce.Attempts[i].Err.Error()
			a.Outcome = attemptOutcome(ce.Attempts[i].Err)
		case o.err != nil:
			a.Outcome, a.Error = attemptOutcome(o.err), o.err.Error()
		case ce == nil && o.name == accepted, ce != nil && o.begun:
			a.Outcome = Accepted
		case ce == nil:
			a.Outcome = NotTried
		}
		list = append(list, a)
	}
	return list
}

func indexOf(ce *proxyconnect.ConnectError, mechanism string) int {
	if ce == nil {
		return -1
	}
	return slices.IndexFunc(ce.Attempts, func(a proxyconnect.Attempt) bool { return a.Mechanism == mechanism })
}

// attemptOutcome asks the error what it means, as proxyconnect does.
func attemptOutcome(err error) Outcome {
	var rejected interface{ CredentialRejected() bool }
	var refused interface{ TokenRefused() bool }
	var absent interface{ NoCredential() bool }
	switch {
	case errors.Is(err, proxyconnect.ErrBudgetSpent):
		return NotTried
	case errors.Is(err, proxyconnect.ErrCleartext):
		return Cleartext
	case errors.As(err, &rejected) && rejected.CredentialRejected():
		return Rejected
	case errors.As(err, &refused) && refused.TokenRefused():
		return TicketRefused
	case errors.As(err, &absent) && absent.NoCredential():
		return NoCredential
	case errors.Is(err, proxyconnect.ErrRefused):
		return Accepted
	}
	return Failed
}

// enterTunnel says what became of the request that carried the right credentials.
func (w *walk) enterTunnel(ctx context.Context) (string, error) {
	if w.noProxy {
		return w.enterDirect(ctx)
	}
	if w.tunnelErr != nil {
		return w.report.Refusal.summary(), w.tunnelErr
	}
	w.tunnel, w.opened = &observedConn{Conn: w.conn}, time.Now()
	w.conn = w.tunnel
	return "to " + w.TURN.Address, nil
}
