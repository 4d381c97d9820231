package ntlm

import (
	"errors"
	"fmt"
)

// ErrNoChallenge means that the proxy answered our first message with no challenge: it ignored the
// message or began anew, for instance because the connection behind a balancer is another one.
// Nothing derived from the password has been sent, so it says nothing about the password.
var ErrNoChallenge = errors.New("ntlm: the proxy answered the negotiate message (type 1) without a challenge (type 2); the password was not used")

// errOver is what an Exchange says that has failed before.
var errOver = errors.New("ntlm: the exchange has failed before; begin a new one on a new connection")

// A NoCredentialError says that a Client cannot even try.
type NoCredentialError struct {
	Missing string // "user" or "password"
}

func (e *NoCredentialError) Error() string { return "ntlm: no " + e.Missing + " given" }

// NoCredential reports true: there was nothing to prove ourselves with.
func (e *NoCredentialError) NoCredential() bool { return true }

// A RejectedError says that the proxy asked again after the response (type 3) was sent. Each one
// may count towards the account's lock-out. The proxy does not say why: password, account, channel
// binding and a balancer that splits the connection all look the same from here.
type RejectedError struct {
	Account      string // as sent, for instance `CORP\alice`
	Realm        string // what the challenge named: the DNS domain, else the NetBIOS domain, else ""
	ChannelBound bool   // a channel binding was sent
}

func (e *RejectedError) Error() string {
	realm, binding := "", "without channel binding"
	if e.Realm != "" {
		realm = " (domain of the challenge: " + printable(e.Realm) + ")"
	}
	if e.ChannelBound {
		binding = "with channel binding"
	}
	return fmt.Sprintf("ntlm: the proxy rejected the NTLMv2 response of %s, sent %s%s", e.Account, binding, realm)
}

// CredentialRejected reports true: the response was sent and did not convince.
func (e *RejectedError) CredentialRejected() bool { return true }

// A ChallengeError says that the proxy's challenge (type 2) could not be read or answered. Nothing
// derived from the password has been sent.
type ChallengeError struct {
	Err error
}

func (e *ChallengeError) Error() string {
	return "ntlm: the proxy's challenge (type 2) cannot be answered: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ChallengeError) Unwrap() error { return e.Err }
