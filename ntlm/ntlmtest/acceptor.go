// Package ntlmtest is the proxy's half of NTLM for tests and the lab: it makes challenges and really
// verifies the NTLMv2 responses to them (MS-NLMP 3.2.5).
//
//	a := &ntlmtest.Acceptor{Domain: "CORP", Password: func(user, domain string) (string, bool) { ... }}
//	h := a.New(nil) // for each connection
//	challenge, user, err := h.Accept(credentials)
//
// It checks the proof of the password, the message integrity code, the channel binding, the service's
// name and the time, and refuses NTLMv1, LM and anonymous logons. It has no domain controller, does
// not limit attempts, and is no way to protect anything real.
package ntlmtest

import (
	"strings"
	"sync"
	"time"
)

// An Acceptor verifies the users of one proxy. Its fields must not change after the first New; it is
// safe for concurrent use.
type Acceptor struct {
	// Domain is the NetBIOS name of the domain that the challenge announces. Default "TURNGATE".
	Domain string

	// Host is the DNS name or address that clients know the proxy by. When set, a client that names
	// a service must name HTTP/Host (any port).
	Host string

	// Password returns the password of an account. The domain is the one that the client named, the
	// DNS domain of a user principal name, or "". It is called by any number of goroutines at once.
	Password func(user, domain string) (password string, ok bool)

	// RequireMIC refuses responses without a message integrity code (curl and cntlm send none).
	RequireMIC bool

	// RequireChannelBinding refuses clients that bind to no channel, where New was given one to bind
	// to. A wrong binding is refused anyway.
	RequireChannelBinding bool

	// SPNEGO takes SPNEGO tokens beside bare NTLM messages and answers each in its kind.
	SPNEGO bool

	// MaxSkew is how far the client's clock may be off. Default 30 minutes.
	MaxSkew time.Duration

	// Now is the clock. Default time.Now.
	Now func() time.Time

	// The rest are faults of servers in the field.

	// KeyExchange sets KEY_EXCH in the challenge, whether the client offers it or not.
	KeyExchange bool

	// OmitTimestamp leaves the time out of the challenge, as Windows before Vista does.
	OmitTimestamp bool

	// OmitTargetInfo leaves all of the target info out of the challenge.
	OmitTargetInfo bool

	// MalformedTargetName lets the challenge's target name point beyond the message, as Squid's
	// ntlm_fake_auth does.
	MalformedTargetName bool

	// WrapChallenge puts the challenge into SPNEGO for clients that sent a bare message, too.
	WrapChallenge bool

	mu    sync.Mutex
	tally map[string]tally
}

type tally struct{ accepted, failed int }

// New begins the handshake of one connection. channelBinding is what Client.Begin of package ntlm
// takes for the same connection: nil for a proxy without TLS.
func (a *Acceptor) New(channelBinding []byte) *Handshake {
	return &Handshake{acceptor: a, binding: channelBinding}
}

// Failures is the number of responses (type 3) refused so far for this account, by its name without
// domain, in any case. A domain controller counts the same towards a lock-out.
func (a *Acceptor) Failures(user string) int { return a.count(user).failed }

// Accepted is the number of responses accepted so far for this account.
func (a *Acceptor) Accepted(user string) int { return a.count(user).accepted }

func (a *Acceptor) count(user string) tally {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tally[strings.ToLower(user)]
}

// record counts one verification. The map's size is the number of names tried: a lab's concern only.
func (a *Acceptor) record(user string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tally == nil {
		a.tally = make(map[string]tally)
	}
	t := a.tally[strings.ToLower(user)]
	if err == nil {
		t.accepted++
	} else {
		t.failed++
	}
	a.tally[strings.ToLower(user)] = t
}

func (a *Acceptor) domain() string {
	if a.Domain == "" {
		return "TURNGATE"
	}
	return a.Domain
}

func (a *Acceptor) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

func (a *Acceptor) maxSkew() time.Duration {
	if a.MaxSkew == 0 {
		return 30 * time.Minute
	}
	return a.MaxSkew
}
