package kerberos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/turngate/turngate/kerberos/internal/gss"
)

// A Client holds tickets and starts exchanges. It may be used by several goroutines at a time: they
// share tickets, and a ticket that several of them want is fetched once.
//
// After a KDC has rejected the password or the key, the client asks no KDC to log in again, so that
// it cannot lock the account: make a new Client for a new password.
type Client struct {
	config  Config
	conf    *krb5Conf
	source  source
	tickets *cache

	mu        sync.Mutex
	sticky    map[string]endpoint // by realm: the KDC that answered last
	rejection error
	lastStamp time.Time
}

// String names the principal, never a secret.
func (c *Client) String() string { return c.config.String() }

// GoString is String.
func (c *Client) GoString() string { return c.config.String() }

// Begin starts an exchange with a proxy: it finds a service ticket for it, asking KDCs when none is
// at hand. proxyHost is the name of the proxy as configured, without port. channelBinding is the
// application data of the binding to the proxy's TLS channel (RFC 5929: "tls-server-end-point:" and
// the hash of the certificate), nil without TLS.
//
// The error has a method NoCredential() bool that returns true when there is no ticket and no secret
// to get one with, no KDC answers, or none knows a service by the proxy's name (so that a caller who
// must not fall back to a weaker mechanism names no other); it has CredentialRejected() bool returning true when a KDC rejects the user, the password or the key. A refusal of a KDC is a
// *KDCError in the chain.
func (c *Client) Begin(ctx context.Context, proxyHost string, channelBinding []byte) (*Exchange, error) {
	t, spn, err := c.serviceTicket(ctx, proxyHost)
	if err != nil {
		return nil, err
	}
	return &Exchange{client: c, ticket: t, spn: spn, binding: gss.Bind(channelBinding)}, nil
}

// stamp is the time for a message, later than any other stamp of this client by a microsecond at
// least: verifiers take two authenticators with one time for a replay (RFC 4120 section 3.2.3).
func (c *Client) stamp() time.Time {
	now := c.config.Now().UTC().Truncate(time.Microsecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.After(c.lastStamp) && c.lastStamp.Sub(now) < time.Second {
		now = c.lastStamp.Add(time.Microsecond)
	}
	c.lastStamp = now
	return now
}

// refused returns the rejection that a KDC has spoken before.
func (c *Client) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rejection == nil {
		return nil
	}
	return fmt.Errorf("not asked again, so that the account is not locked: %w", c.rejection)
}

// remind keeps err if it is a rejection.
func (c *Client) remind(err error) {
	if !isRejected(err) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejection = err
}

func isRejected(err error) bool {
	var r interface{ CredentialRejected() bool }
	return errors.As(err, &r) && r.CredentialRejected()
}
