package loadtest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/turngate/turngate/harness/fleet"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// A TURN is the server that calls are relayed by.
type TURN struct {
	Address string      // host:port
	Secure  bool        // turns
	TLS     *tls.Config // for turns; nil trusts the system's authorities
	User    string
	// Password is never shown.
	Password string
}

// String is the URI without the user.
func (t TURN) String() string {
	if t.Secure {
		return "turns:" + t.Address + "?transport=tcp"
	}
	return "turn:" + t.Address + "?transport=tcp"
}

// GoString is String.
func (t TURN) GoString() string { return t.String() }

// Way is how a tunnel reaches the server: through the dialer's proxy, or straight if it is nil. Each
// set-up is timed by its phases: "tcp", "proxy-tls", "connect-1" and so on for each CONNECT, "auth"
// (computing credentials, a KDC's answers included), "connect" (all of these from the first CONNECT
// on), "turn-tls".
func Way(d *proxyconnect.Dialer, t TURN) loadgen.Dial {
	return func(ctx context.Context) (conn net.Conn, phases []loadgen.Phase, err error) {
		w := &stopwatch{}
		if d == nil {
			start := time.Now()
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", t.Address)
			w.add("tcp", start)
		} else {
			conn, err = d.DialContext(proxyconnect.WithTrace(ctx, w.trace()), "tcp", t.Address)
			w.total()
		}
		if err != nil {
			return nil, w.phases, err
		}
		if t.Secure {
			start := time.Now()
			conn, err = secure(ctx, conn, t)
			w.add("turn-tls", start)
		}
		return conn, w.phases, err
	}
}

// secure does TLS with the TURN server; it closes conn when that fails.
func secure(ctx context.Context, conn net.Conn, t TURN) (net.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TLS != nil {
		config = t.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(t.Address)
	}
	config.NextProtos = []string{"stun.turn"} // RFC 7443
	config.DynamicRecordSizingDisabled = true // a train is one record, from the first on
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with the TURN server: %w", err)
	}
	return client, nil
}

// A stopwatch times the phases of one dial.
type stopwatch struct {
	phases []loadgen.Phase
	begun  time.Time
	first  time.Time // CONNECT, or computing credentials before it
	legs   int
}

func (w *stopwatch) add(name string, since time.Time) {
	w.phases = append(w.phases, loadgen.Phase{Name: name, Took: time.Since(since)})
}

func (w *stopwatch) start() {
	w.begun = time.Now()
	if w.first.IsZero() {
		w.first = w.begun
	}
}

func (w *stopwatch) total() {
	if w.legs > 0 {
		w.add("connect", w.first)
	}
}

func (w *stopwatch) trace() *proxyconnect.Trace {
	return &proxyconnect.Trace{
		DialStart:        func(string) { w.begun = time.Now() },
		DialDone:         func(net.Conn, error) { w.add("tcp", w.begun) },
		TLSStart:         func() { w.begun = time.Now() },
		TLSDone:          func(tls.ConnectionState, error) { w.add("proxy-tls", w.begun) },
		CredentialsStart: func(string) { w.start() },
		CredentialsDone:  func(string, error) { w.add("auth", w.begun) },
		ConnectStart:     func(string) { w.start() },
		ResponseReceived: func(proxyconnect.Response) {
			w.legs++
			w.add("connect-"+strconv.Itoa(w.legs), w.begun)
		},
	}
}

// Rejected tells that the proxy or the TURN server rejects the credentials: trying again might lock
// the account.
func Rejected(err error) bool {
	var te *turntcp.Error
	return errors.Is(err, proxyconnect.ErrRejected) || errors.Is(err, proxyconnect.ErrBudgetSpent) || errors.Is(err, fleet.ErrRejected) ||
		errors.As(err, &te) && te.Code == 401
}

// Refused tells that the proxy has answered CONNECT, and said no. It may have sent a challenge before something
// else went wrong.
func Refused(err error) bool {
	var ce *proxyconnect.ConnectError
	return errors.As(err, &ce) && ce.Status != 0 && ce.Status/100 != 2 && network(err) == ""
}

// Cause names why a tunnel failed, in words that are the same for many tunnels.
func Cause(err error) string {
	var ce *proxyconnect.ConnectError
	var te *turntcp.Error
	switch {
	case errors.As(err, &ce) && Refused(err):
		return fmt.Sprintf("the proxy answers CONNECT with %d", ce.Status)
	case errors.As(err, &ce):
		return fmt.Sprintf("proxy, %s: %s", ce.Stage, kind(err))
	case errors.As(err, &te):
		return fmt.Sprintf("the TURN server answers %s with %d", te.Method, te.Code)
	}
	return kind(err)
}

func kind(err error) string {
	return cmp.Or(network(err), err.Error())
}

// network is what went wrong with a connection, "" if it was something else.
func network(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "time-out"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "closed by the other side"
	case errors.Is(err, syscall.EMFILE):
		return "out of descriptors"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "out of ports"
	}
	return ""
}
