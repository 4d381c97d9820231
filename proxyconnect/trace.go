package proxyconnect

import (
	"context"
	"crypto/tls"
	"net"
)

// A Trace is a set of hooks that a dial calls as it proceeds, each of which may be nil. Give it to a
// dial with WithTrace. The hooks of one dial are called in order, by the dialing goroutine; none sees
// a secret.
type Trace struct {
	DialStart func(proxy string)             // TCP connection to the proxy begins; host:port
	DialDone  func(conn net.Conn, err error) // the hook must not use conn but for its addresses
	TLSStart  func()                         // https proxies only
	TLSDone   func(state tls.ConnectionState, err error)

	// CredentialsStart and CredentialsDone stand around the computation of a leg's credentials,
	// which for Kerberos may ask a KDC.
	CredentialsStart func(mechanism string)
	CredentialsDone  func(mechanism string, err error)

	// ConnectStart: a CONNECT request is about to be written; mechanism is "" for one without
	// credentials.
	ConnectStart func(mechanism string)
	// ResponseReceived: the head of its response was read, and the body of a 407.
	ResponseReceived func(Response)
}

// A Response is the head of the proxy's answer to one CONNECT.
type Response struct {
	Status    int
	Reason    string
	Offered   []string // schemes of its challenges
	KeepAlive bool     // the connection stays open for the next leg
}

type traceKey struct{}

// WithTrace returns a context whose dials call the hooks of t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

func traceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok && t != nil {
		return t
	}
	return new(Trace)
}

// call runs a hook that takes one value, if there is one.
func call[T any](hook func(T), v T) {
	if hook != nil {
		hook(v)
	}
}

func call2[T, U any](hook func(T, U), v T, w U) {
	if hook != nil {
		hook(v, w)
	}
}
