package proxyconnect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// authenticate tries the mechanisms that answer the challenges of the discovery response.
func (a *dial) authenticate(discovery *response) (net.Conn, error) {
	a.fail.Stage = StageAuthenticate
	challenges := discovery.challenges()
	reusable := discovery.keepAlive
	for i := range a.Mechanisms {
		m := &a.Mechanisms[i]
		challenge, offered := match(m, challenges)
		if !offered {
			continue
		}
		conn, err := a.try(m, challenge, reusable)
		if conn != nil || err != nil && !errors.Is(err, errNext) {
			return conn, err
		}
		// The next mechanism begins afresh: this one may have spent the connection, or let it wait
		// too long while it asked for a ticket.
		reusable = false
	}
	return nil, a.verdict()
}

// match returns the first challenge that the mechanism answers.
func match(m *Mechanism, challenges []Challenge) (string, bool) {
	for _, c := range challenges {
		if strings.EqualFold(c.Scheme, m.Scheme) && (m.Supports == nil || m.Supports(c.Rest)) {
			return c.Rest, true
		}
	}
	return "", false
}

// try runs one mechanism and books what becomes of it.
func (a *dial) try(m *Mechanism, challenge string, reusable bool) (net.Conn, error) {
	before := a.legs
	var conn net.Conn
	err := a.permitted(m)
	if err == nil {
		conn, err = a.exchange(m, challenge, reusable)
	}
	if err == nil {
		return conn, nil
	}
	a.fail.Attempts = append(a.fail.Attempts, Attempt{m.name(), m.credential(), a.legs - before, err})
	switch {
	case a.ctx.Err() != nil:
		return nil, err
	case rejected(err):
		a.budget.reject(m.credential())
		return nil, errNext
	case noCredential(err), tokenRefused(err), errors.Is(err, ErrBudgetSpent), errors.Is(err, ErrCleartext):
		return nil, errNext
	}
	return nil, err
}

// permitted refuses a mechanism before it is asked for a secret.
func (a *dial) permitted(m *Mechanism) error {
	if strings.EqualFold(m.Scheme, "Basic") && !a.proxy.tls && !a.AllowBasicOverHTTP {
		return ErrCleartext
	}
	if !a.budget.allows(m.credential()) {
		return ErrBudgetSpent
	}
	return nil
}

// exchange runs the legs of one mechanism.
func (a *dial) exchange(m *Mechanism, challenge string, reusable bool) (net.Conn, error) {
	if !reusable {
		if err := a.reopen(); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	ex, credentials, err := a.begin(m, challenge)
	if err == nil && time.Since(start) > staleAfter {
		err = a.reopen()
	}
	if err != nil {
		return nil, err
	}
	for range maxLegs {
		r, err := a.leg(m.name(), m.Scheme+" "+credentials)
		if err != nil {
			return nil, err
		}
		if !r.isChallenge() {
			return a.finish(m, ex, r)
		}
		if credentials, err = a.next(m, ex, r); err != nil {
			return nil, err
		}
	}
	return nil, ErrTooManyLegs
}

// begin starts the exchange and computes its first credentials.
func (a *dial) begin(m *Mechanism, challenge string) (ex Exchange, credentials string, err error) {
	call(a.trace.CredentialsStart, m.name())
	defer func() { call2(a.trace.CredentialsDone, m.name(), err) }()
	if ex, err = m.Begin(a.ctx, a.describe()); err != nil {
		return nil, "", err
	}
	credentials, err = ex.Next(a.ctx, challenge)
	return ex, credentials, err
}

// next answers a challenge in the middle of an exchange, over a fresh connection where the proxy
// closed this one and the mechanism does not depend on it.
func (a *dial) next(m *Mechanism, ex Exchange, r *response) (credentials string, err error) {
	challenge := continuation(m, r.challenges())
	call(a.trace.CredentialsStart, m.name())
	credentials, err = ex.Next(a.ctx, challenge)
	call2(a.trace.CredentialsDone, m.name(), err)
	if err != nil || r.keepAlive {
		return credentials, err
	}
	if isToken68(challenge) {
		return "", fmt.Errorf("%w, after status %d with a token", ErrConnectionNotKept, r.status)
	}
	return credentials, a.reopen()
}

// reopen is open in the middle of authentication.
func (a *dial) reopen() error {
	err := a.open()
	if err == nil {
		a.fail.Stage = StageAuthenticate
	}
	return err
}

// continuation is the challenge that goes on with the exchange: of several under one scheme the one
// that carries something.
func continuation(m *Mechanism, challenges []Challenge) (rest string) {
	for _, c := range challenges {
		supported := m.Supports == nil || m.Supports(c.Rest)
		if strings.EqualFold(c.Scheme, m.Scheme) && supported && rest == "" {
			rest = c.Rest
		}
	}
	return rest
}

// finish ends an exchange with the response that is no challenge.
func (a *dial) finish(m *Mechanism, ex Exchange, r *response) (net.Conn, error) {
	if r.status/100 != 2 {
		_, err := a.settled(r)
		return nil, err
	}
	if f, ok := ex.(Finisher); ok {
		if err := f.Finish(r.lastWord(m.Scheme)); err != nil {
			return nil, fmt.Errorf("the proxy accepted us, but does not prove itself: %w", err)
		}
	}
	return a.tunnel(m.name())
}

func (a *dial) describe() Request {
	r := Request{Method: "CONNECT", Target: a.fail.Target, ProxyHost: a.proxy.host}
	if conn, ok := a.conn.(*tls.Conn); ok && a.proxy.tls {
		state := conn.ConnectionState()
		r.TLS = &state
	}
	return r
}

// verdict sums up why no mechanism succeeded.
func (a *dial) verdict() error {
	if len(a.fail.Attempts) == 0 {
		return ErrNoCommonScheme
	}
	for _, at := range a.fail.Attempts {
		if rejected(at.Err) || tokenRefused(at.Err) {
			return fmt.Errorf("%w: %w", ErrRejected, at.Err)
		}
	}
	for _, cause := range []error{ErrBudgetSpent, ErrCleartext} {
		for _, at := range a.fail.Attempts {
			if errors.Is(at.Err, cause) {
				return cause
			}
		}
	}
	return ErrNoCredential
}

// isToken68 tells a token of a handshake from auth-params.
func isToken68(challenge string) bool {
	return challenge != "" && !strings.ContainsAny(strings.TrimRight(challenge, "="), `=" ,`)
}
