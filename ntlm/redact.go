package ntlm

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the account, never the secret.
func (c Client) String() string {
	user, domain := c.account()
	return "ntlm client of " + accountName(user, domain)
}

// GoString is String, so that %#v shows no secret.
func (c Client) GoString() string { return c.String() }

// Format is String for every verb: without it %d would print the bytes of NTHash.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue is String for slog.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the account and how far the handshake is, never the secret.
func (e Exchange) String() string {
	return "ntlm exchange of " + accountName(e.user, e.domain) + ", " + e.step.String()
}

// GoString is String, so that %#v shows no secret.
func (e Exchange) GoString() string { return e.String() }

// Format is String for every verb: fmt prints unexported fields too.
func (e Exchange) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue is String for slog.
func (e Exchange) LogValue() slog.Value { return slog.StringValue(e.String()) }
