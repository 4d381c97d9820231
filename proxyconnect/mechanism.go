package proxyconnect

import (
	"context"
	"crypto/tls"
	"fmt"
)

// An Exchange is one authentication handshake on one connection. It is used by one goroutine.
//
// It names only standard types, so that a mechanism need not import this package.
type Exchange interface {
	// Next answers the proxy's challenge. Both strings are everything after the scheme, as on the
	// wire: a token68 (RFC 9110 section 11.2) or a list of auth-params. The first call has the
	// challenge of the 407 that offered the scheme, often "".
	//
	// An error whose chain has a method NoCredential() bool returning true means that there is
	// nothing to prove ourselves with (no ticket, no password): the dialer goes on to the next
	// mechanism. One with CredentialRejected() bool returning true means that the challenge, or the
	// authority behind the mechanism (a KDC), rejects the credential: it counts against the Budget.
	// One with TokenRefused() bool returning true means that the proxy does not take what was derived
	// from the credential and that no account's failures were counted (a Kerberos ticket that the proxy
	// cannot read): the dialer goes on to the next mechanism. Any other error ends the dial.
	Next(ctx context.Context, challenge string) (credentials string, err error)
}

// A Finisher is an Exchange that also checks the proxy's last word, what follows its scheme in the
// Proxy-Authenticate or Proxy-Authentication-Info field of the 2xx response (RFC 4559 section 5:
// the server's token of mutual authentication). It is called with "" when there is none.
type Finisher interface {
	Finish(challenge string) error
}

// A Mechanism is one way to prove who we are. It may be shared by any number of connections.
type Mechanism struct {
	// Scheme is the auth-scheme it answers (RFC 9110 section 11.1): "Basic", "Digest", "NTLM",
	// "Negotiate"; compared without regard to case. A field of its own, because NTLM also travels
	// under Negotiate.
	Scheme string

	// Name tells mechanisms of one scheme apart in traces and errors ("Negotiate (NTLM)"). Default
	// is Scheme.
	Name string

	// Credential names what is spent when it is rejected: when a proxy rejects one mechanism, all
	// others of the same Credential are given up with it. Basic and Digest set it to
	// PasswordCredential(user): so should every mechanism that uses the same password. It is shown in
	// errors: never the secret itself. Default is Name.
	Credential string

	// Supports tells whether the mechanism can answer a challenge of its scheme; nil: any. Of several
	// challenges of one scheme the first that is supported is answered (RFC 7616 section 3.7).
	Supports func(challenge string) bool

	// Begin starts an independent Exchange for one connection. Its errors are those of
	// Exchange.Next.
	Begin func(ctx context.Context, r Request) (Exchange, error)
}

// A Request is what a Mechanism may know of the request it authenticates.
type Request struct {
	Method    string // always CONNECT
	Target    string // host:port, the request-target
	ProxyHost string // host name or address of the proxy as configured, without port: what a service principal is made of

	// TLS is the state of the connection to the proxy; nil for an http proxy. See
	// TLSServerEndPoint.
	TLS *tls.ConnectionState
}

// PasswordCredential is the Mechanism.Credential of all mechanisms that use the password of a user.
func PasswordCredential(user string) string { return "password of " + user }

func (m Mechanism) name() string {
	if m.Name != "" {
		return m.Name
	}
	return m.Scheme
}

func (m Mechanism) credential() string {
	if m.Credential != "" {
		return m.Credential
	}
	return m.name()
}

// validMechanisms finds what only a mistake in the caller's program leaves out.
func validMechanisms(mechanisms []Mechanism) error {
	for i, m := range mechanisms {
		if m.Scheme == "" || m.Begin == nil {
			return fmt.Errorf("mechanism %d (%q) has no Scheme or no Begin", i, m.name())
		}
	}
	return nil
}
