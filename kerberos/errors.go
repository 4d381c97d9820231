package kerberos

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A KDCError is a KDC's refusal: the KRB-ERROR it sent (RFC 4120 section 5.9.1), in words. KRB-ERRORs
// are not authenticated: whoever sits between us and the KDC can send one.
type KDCError struct {
	Code      int32         // RFC 4120 section 7.5.9
	Name      string        // its symbol, for instance KDC_ERR_PREAUTH_FAILED
	Text      string        // what the KDC added, often ""
	KDC       string        // address of the KDC and transport, for instance "10.0.0.1:88/tcp"
	Realm     string        // realm of that KDC
	Principal string        // who asked, with realm
	Service   string        // for what: "krbtgt/REALM" at login, else the service principal
	Offset    time.Duration // the KDC's clock minus ours, as far as whole exchanges tell
	login     bool
}

func (e *KDCError) Error() string {
	var b strings.Builder
	_, words := krb5.ErrorName(e.Code)
	what := fmt.Sprintf("a ticket for %s to %s", e.Service, e.Principal)
	if e.login {
		what = "the login of " + e.Principal
	}
	fmt.Fprintf(&b, "KDC %s of %s refuses %s: %s (%d, %s)", e.KDC, e.Realm, what, words, e.Code, e.Name)
	if e.Text != "" {
		fmt.Fprintf(&b, ", it says %q", e.Text)
	}
	if e.Code == krb5.ErrSkew || e.Offset.Abs() > 2*time.Minute {
		fmt.Fprintf(&b, "; %s", clockText("the KDC's clock", e.Offset))
	}
	return b.String()
}

// clockText compares somebody's clock with ours.
func clockText(whose string, offset time.Duration) string {
	offset = offset.Round(time.Second)
	switch {
	case offset > 0:
		return fmt.Sprintf("%s is %v ahead of ours", whose, offset)
	case offset < 0:
		return fmt.Sprintf("%s is %v behind ours", whose, -offset)
	}
	return whose + " agrees with ours"
}

// CredentialRejected tells whether the KDC rejects the user or the password (or key), so that trying
// it again would only count towards a lock-out.
func (e *KDCError) CredentialRejected() bool {
	switch e.Code {
	case krb5.ErrNameExpired, krb5.ErrClientUnknown, krb5.ErrClientRevoked, krb5.ErrKeyExpired, krb5.ErrPreauthFailed:
		return true
	case krb5.ErrBadIntegrity: // what some KDCs say instead of PREAUTH_FAILED
		return e.login
	}
	return false
}

const maxText = 200 // bytes of a peer's words that we repeat

func newKDCError(m *krb5.Error, kdc string, now time.Time) *KDCError {
	name, _ := krb5.ErrorName(m.Code)
	return &KDCError{
		Code:   m.Code,
		Name:   name,
		Text:   m.Text[:min(len(m.Text), maxText)],
		KDC:    kdc,
		Offset: serverTime(m).Sub(now),
	}
}

// serverTime is the clock of who sent the error.
func serverTime(m *krb5.Error) time.Time {
	return m.STime.Add(time.Duration(m.SUsec) * time.Microsecond)
}

// absentError says that there is nothing to prove ourselves with.
type absentError struct{ error }

func (absentError) NoCredential() bool { return true }
func (e absentError) Unwrap() error    { return e.error }

func absent(err error) error { return absentError{err} }

// rejectedError says that somebody does not accept what we proved.
type rejectedError struct{ error }

func (rejectedError) CredentialRejected() bool { return true }
func (e rejectedError) Unwrap() error          { return e.error }

func rejected(err error) error { return rejectedError{err} }

// refusedTicketError says that the proxy does not take our ticket. Nothing was counted against the
// user: the KDC, which does the counting, gave the ticket.
type refusedTicketError struct{ error }

func (refusedTicketError) TokenRefused() bool { return true }
func (e refusedTicketError) Unwrap() error    { return e.error }

func refusedTicket(err error) error { return refusedTicketError{err} }

func isRefusedTicket(err error) bool {
	var r refusedTicketError
	return errors.As(err, &r)
}

// unreachableError says that no KDC of a realm answers, or that none is known.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

// withoutKDC makes an unreachable KDC what it is for our caller: a ticket that is not to be had. It is
// for requests that hold no proof of a password; after one, nobody can tell whether the KDC has counted
// a failure, and another mechanism with the same password might make it two.
func withoutKDC(err error) error {
	var u unreachableError
	if errors.As(err, &u) {
		return absent(err)
	}
	return err
}

// attempts are the errors of several tries, on one line.
type attempts []error

func (a attempts) Error() string {
	texts := make([]string, len(a))
	for i, err := range a {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (a attempts) Unwrap() []error { return a }
