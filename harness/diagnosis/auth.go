package diagnosis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
)

// authenticate opens the tunnel with credentials, where the proxy asks for them.
func (w *walk) authenticate(ctx context.Context) (string, error) {
	if w.report.Answer == nil {
		return "", skipped("the proxy asks for none")
	}
	conn, err := w.dial(ctx, true)
	if err == nil {
		w.conn = conn
		info := conn.(*proxyconnect.Conn).Info()
		return fmt.Sprintf("%s accepted, requests: %d, connections: %d", info.Mechanism, info.Legs, info.Dials), nil
	}
	// After credentials anything but a challenge says that they were taken.
	if errors.Is(err, proxyconnect.ErrRefused) {
		w.tunnelErr = err
		if status := w.report.Refusal.status(); status/100 == 4 && w.TURN.port() != "443" {
			w.probeOnce(ctx, ProbePort, net.JoinHostPort(w.TURN.host(), "443"), w.proven())
		}
		return "credentials taken", nil
	}
	return "", err
}

// dial opens a tunnel with what the user has; observed, the report learns of it.
func (w *walk) dial(ctx context.Context, observed bool) (net.Conn, error) {
	d := w.proven()
	if !observed {
		return d.DialContext(ctx, "tcp", w.TURN.Address)
	}
	var seen []*observation
	d.Mechanisms = slices.Clone(d.Mechanisms)
	for i := range d.Mechanisms {
		o := new(observation)
		o.watch(&d.Mechanisms[i])
		seen = append(seen, o)
	}
	conn, err := d.DialContext(proxyconnect.WithTrace(ctx, w.trace()), "tcp", w.TURN.Address)
	w.report.Attempts = attempts(seen, conn, err)
	var ce *proxyconnect.ConnectError
	if errors.As(err, &ce) {
		w.report.Refusal = answerOf(ce)
	}
	return conn, err
}

// proven is the dialer with the run's budget.
func (w *walk) proven() *proxyconnect.Dialer {
	d := *w.Dialer
	d.Budget, d.Timeout = w.budget, 3*w.timeout()
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
		a := Attempt{Mechanism: o.name, Outcome: NotOffered, NTLM: o.ntlm}
		switch i := indexOf(ce, o.name); {
		case i >= 0:
			a.Requests, a.Error = ce.Attempts[i].Legs, ce.Attempts[i].Err.Error()
			a.Outcome = attemptOutcome(ce.Attempts[i].Err)
		case o.err != nil:
			a.Outcome, a.Error = attemptOutcome(o.err), o.err.Error()
		case ce == nil && o.name == accepted, ce != nil && o.begun:
			a.Outcome = Accepted
		case ce == nil:
			a.Outcome = NotTried
		}
		a.KDC = o.kdc
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

// An observation is what one mechanism goes through, from its own point of view.
type observation struct {
	name  string
	begun bool
	err   error
	ntlm  *NTLM
	kdc   *KDC
}

// watch puts the observation between the dialer and the mechanism.
func (o *observation) watch(m *proxyconnect.Mechanism) {
	o.name = m.Name
	if o.name == "" {
		o.name = m.Scheme
	}
	begin := m.Begin
	m.Begin = func(ctx context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
		ex, err := begin(ctx, r)
		o.note(err)
		if err != nil {
			return nil, err
		}
		o.begun = true
		if f, ok := ex.(proxyconnect.Finisher); ok {
			return finishingExchange{observedExchange{ex, o}, f}, nil
		}
		return observedExchange{ex, o}, nil
	}
}

func (o *observation) note(err error) {
	if err == nil {
		return
	}
	o.err = err
	if kdc := kdcOf(err); kdc != nil {
		o.kdc = kdc
	}
}

type observedExchange struct {
	proxyconnect.Exchange
	o *observation
}

func (e observedExchange) Next(ctx context.Context, challenge string) (string, error) {
	if token, err := base64.StdEncoding.DecodeString(challenge); err == nil && len(token) > 0 {
		if c, err := ntlm.ParseChallenge(token); err == nil {
			count := 1
			if e.o.ntlm != nil {
				count += e.o.ntlm.Challenges
			}
			e.o.ntlm = ntlmOf(c)
			e.o.ntlm.Challenges = count
		}
	}
	answer, err := e.Exchange.Next(ctx, challenge)
	e.o.note(err)
	return answer, err
}

// finishingExchange is an observedExchange whose mechanism wants the proxy's last word.
type finishingExchange struct {
	observedExchange
	proxyconnect.Finisher
}

func ntlmOf(c ntlm.Challenge) *NTLM {
	n := &NTLM{Domain: clip(c.NetBIOSDomain), Server: clip(c.NetBIOSComputer), Flags: fmt.Sprintf("%#08x", uint32(c.Flags)), Time: c.Timestamp, SPNEGO: c.SPNEGO}
	if n.Domain == "" {
		n.Domain = clip(c.TargetName)
	}
	return n
}

// noKDC are the words of package kerberos, which exports no type for it; the black-box tests hold them
// fast.
var noKDC = []string{"no KDC of ", "no KDC is known", "lists no kdc for realm"}

// kdcOf finds in an error of a mechanism what a KDC said, or that none did.
func kdcOf(err error) *KDC {
	var refusal *kerberos.KDCError
	if errors.As(err, &refusal) {
		return &KDC{
			Code: refusal.Code, Name: refusal.Name, Address: refusal.KDC, Realm: refusal.Realm,
			Principal: refusal.Principal, Service: refusal.Service, OffsetSeconds: refusal.Offset.Round(time.Second).Seconds(),
		}
	}
	if slices.ContainsFunc(noKDC, func(words string) bool { return strings.Contains(err.Error(), words) }) {
		return &KDC{Unreachable: true}
	}
	return nil
}

// enterTunnel says what became of the request that carried the right credentials.
func (w *walk) enterTunnel(context.Context) (string, error) {
	if w.tunnelErr != nil {
		return w.report.Refusal.summary(), w.tunnelErr
	}
	w.tunnel, w.opened = &observedConn{Conn: w.conn}, time.Now()
	w.conn = w.tunnel
	return "to " + w.TURN.Address, nil
}
