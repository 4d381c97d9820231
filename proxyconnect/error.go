package proxyconnect

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// A Stage says how far a dial came.
type Stage string

// The stages of a dial, in their order.
const (
	StageConfig       Stage = "configuration"
	StageDial         Stage = "connecting to the proxy"
	StageTLS          Stage = "TLS with the proxy"
	StageConnect      Stage = "CONNECT"
	StageAuthenticate Stage = "authentication"
	StageTunnelTLS    Stage = "TLS through the tunnel" // DialTLSContext and ICE only
)

// Causes that a ConnectError may wrap.
var (
	// ErrNoCommonScheme: the proxy offers none of the schemes of the given mechanisms.
	ErrNoCommonScheme = errors.New("no mechanism for what the proxy offers")
	// ErrNoCredential: the schemes match, but every mechanism lacks what it would prove itself with.
	ErrNoCredential = errors.New("no usable credential")
	// ErrRejected: the proxy, or the authority behind a mechanism, rejected the credential.
	ErrRejected = errors.New("credential rejected")
	// ErrBudgetSpent: an earlier rejection used up the Budget; nothing was sent.
	ErrBudgetSpent = errors.New("an earlier rejection of this credential ended further attempts")
	// ErrConnectionNotKept: the proxy closed the connection between two legs of a handshake that is
	// bound to its connection (NTLM, Kerberos).
	ErrConnectionNotKept = errors.New("the proxy closed the connection in the middle of the handshake")
	// ErrRefused: the proxy answered something that is neither 2xx nor a challenge.
	ErrRefused = errors.New("the proxy refused the tunnel")
	// ErrCleartext: Basic was not tried, because it would send the password in the clear; see
	// Dialer.AllowBasicOverHTTP.
	ErrCleartext = errors.New("Basic would send the password in the clear to an http proxy")
	// ErrTooManyLegs: the proxy went on challenging.
	ErrTooManyLegs = errors.New("the proxy goes on challenging")
)

// A ConnectError reports where on the way to Target a dial stopped. It holds no secret.
type ConnectError struct {
	Stage    Stage
	Proxy    string      // the proxy's URL
	Target   string      // host:port asked for
	Status   int         // the proxy's last status; 0: none came
	Reason   string      // reason phrase of that status
	Header   http.Header // header of that response without challenges and cookies
	Offered  []string    // schemes that the proxy offered, in its order
	Attempts []Attempt   // mechanisms considered, in order
	Legs     int         // CONNECT requests sent, over all connections
	Dials    int         // connections made to the proxy
	Err      error       // the cause
}

// An Attempt is what became of one mechanism.
type Attempt struct {
	Mechanism  string // Mechanism.Name
	Credential string // Mechanism.Credential
	Legs       int    // CONNECT requests sent with its credentials
	Err        error  // why it did not succeed
}

func (e *ConnectError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "proxyconnect: CONNECT %s through %s: %s: %v", e.Target, e.Proxy, e.Stage, e.Err)
	if e.Status != 0 {
		fmt.Fprintf(&b, "; last status %d %s", e.Status, e.Reason)
	}
	if len(e.Offered) > 0 {
		fmt.Fprintf(&b, "; the proxy offers %s", strings.Join(e.Offered, ", "))
	}
	for i, a := range e.Attempts {
		if i == 0 {
			b.WriteString("; tried ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%v)", a.Mechanism, a.Err)
	}
	return b.String()
}

func (e *ConnectError) Unwrap() error { return e.Err }

// Timeout tells whether the dial ended by a deadline, as net.Error does.
func (e *ConnectError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// rejected, noCredential and tokenRefused ask an error of a mechanism what it means; see Exchange.Next.
func rejected(err error) bool {
	var r interface{ CredentialRejected() bool }
	return errors.As(err, &r) && r.CredentialRejected()
}

func noCredential(err error) bool {
	var n interface{ NoCredential() bool }
	return errors.As(err, &n) && n.NoCredential()
}

func tokenRefused(err error) bool {
	var r interface{ TokenRefused() bool }
	return errors.As(err, &r) && r.TokenRefused()
}

// rejection and absence are the errors of the mechanisms that live in this package.
type rejection string

func (r rejection) Error() string            { return string(r) }
func (r rejection) CredentialRejected() bool { return true }

type absence string

func (a absence) Error() string      { return string(a) }
func (a absence) NoCredential() bool { return true }
