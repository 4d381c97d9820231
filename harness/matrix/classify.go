package matrix

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// The codes of a cell's end. A cell declares one of them.
const (
	codeThrough       = report.Through
	codeRejected      = "rejected"            // the proxy or its KDC rejects the credential
	codeBudget        = "rejected-earlier"    // an earlier cell's rejection spent this credential
	codeNoCredential  = "no-credential"       // nothing to prove ourselves with
	codeNoScheme      = "no-common-scheme"    // the proxy offers none of our mechanisms
	codeRefused       = "refused"             // the proxy answers neither 2xx nor a challenge
	codeNotKept       = "connection-not-kept" // closed between the legs of a handshake
	codeEndless       = "endless-challenges"  // the proxy takes credentials and asks again
	codeClosed        = "closed"              // the proxy closed instead of answering
	codeTimeout       = "timeout"             // somebody is silent, at the stage that the message names
	codeUnreachable   = "unreachable"         // no TCP connection
	codeTLS           = "tls-proxy"           // no TLS with the proxy
	codeCleartext     = "cleartext"           // Basic not permitted
	codeProxy         = "proxy-error"         // anything else before the tunnel stood
	codeTunnelTLS     = "tls-tunnel"          // no TLS with the TURN server
	codeTURN          = "turn-error"          // the TURN server refuses
	codeTURNUser      = "turn-rejected"       // the TURN server rejects user or password
	codeTunnelClosed  = "tunnel-closed"       // the tunnel ended before its time
	codeConfiguration = "configuration"       // the cell cannot be tried as it is written
)

// classify names the end of a cell by its error.
func classify(err error) string {
	if err == nil {
		return codeThrough
	}
	if s := (stageError{}); errors.As(err, &s) {
		return classifyTunnel(s)
	}
	for _, known := range []struct {
		err  error
		code string
	}{
		{proxyconnect.ErrRejected, codeRejected}, {proxyconnect.ErrBudgetSpent, codeBudget},
		{proxyconnect.ErrCleartext, codeCleartext}, {proxyconnect.ErrNoCredential, codeNoCredential},
		{proxyconnect.ErrNoCommonScheme, codeNoScheme}, {proxyconnect.ErrRefused, codeRefused},
		{proxyconnect.ErrConnectionNotKept, codeNotKept}, {proxyconnect.ErrTooManyLegs, codeEndless},
		{context.DeadlineExceeded, codeTimeout},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return classifyStage(err)
}

func classifyStage(err error) string {
	var ce *proxyconnect.ConnectError
	if !errors.As(err, &ce) {
		return codeUnreachable
	}
	switch {
	case ce.Stage == proxyconnect.StageConfig:
		return codeConfiguration
	case ce.Stage == proxyconnect.StageDial:
		return codeUnreachable
	case ce.Stage == proxyconnect.StageTLS:
		return codeTLS
	case closed(err):
		return codeClosed
	}
	return codeProxy
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// stageError is a failure after the tunnel stood.
type stageError struct {
	phase string
	err   error
}

func (e stageError) Error() string { return "through the tunnel, " + e.phase + ": " + e.err.Error() }
func (e stageError) Unwrap() error { return e.err }

func classifyTunnel(e stageError) string {
	var te *turntcp.Error
	switch {
	case errors.As(e.err, &te) && te.Code == 401:
		return codeTURNUser
	case errors.As(e.err, &te):
		return codeTURN
	case errors.Is(e.err, context.DeadlineExceeded):
		return codeTimeout
	case closed(e.err):
		return codeTunnelClosed
	case e.phase == phaseTURNTLS:
		return codeTunnelTLS
	}
	return codeTURN
}
