package diagnosis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// A Kind names how a stage failed, independent of its wording.
type Kind string

// The kinds of failure.
const (
	KindCanceled     Kind = "canceled"
	KindTimeout      Kind = "timeout"
	KindClosed       Kind = "closed"
	KindUnknownName  Kind = "unknown name"
	KindUnreachable  Kind = "unreachable"
	KindAuthority    Kind = "certificate of an unknown authority"
	KindName         Kind = "certificate of another name"
	KindExpired      Kind = "certificate out of its time"
	KindPin          Kind = "another key than the pinned one"
	KindNotTLS       Kind = "not TLS"
	KindTLS          Kind = "TLS"
	KindNotHTTP      Kind = "not HTTP"
	KindRefused      Kind = "refused"
	KindRejected     Kind = "rejected"
	KindCleartext    Kind = "cleartext"
	KindNoCredential Kind = "no credential"
	KindNoScheme     Kind = "no common scheme"
	KindNotKept      Kind = "connection not kept"
	KindEndless      Kind = "endless challenges"
	KindNoChallenge  Kind = "no challenge"
	KindTURN         Kind = "TURN error"
	KindTURNUser     Kind = "TURN user rejected"
	KindLost         Kind = "lost"
	KindSecond       Kind = "second tunnel"
	KindConfig       Kind = "configuration"
	KindOther        Kind = "other"
)

// errLost says that no datagram came back, errSecond that the far end's tunnel did not open.
var (
	errLost   = errors.New("no datagram came back")
	errSecond = errors.New("the first tunnel stands, the second does not open")
)

// known are the errors that can be told by identity, the more particular ones first.
var known = []struct {
	err  error
	kind Kind
}{
	{context.Canceled, KindCanceled},
	{errSecond, KindSecond},
	{errLost, KindLost},
	{errPin, KindPin},
	{proxyconnect.ErrRejected, KindRejected}, {proxyconnect.ErrBudgetSpent, KindRejected},
	{proxyconnect.ErrCleartext, KindCleartext}, {proxyconnect.ErrNoCredential, KindNoCredential},
	{proxyconnect.ErrNoCommonScheme, KindNoScheme}, {proxyconnect.ErrRefused, KindRefused},
	{proxyconnect.ErrConnectionNotKept, KindNotKept}, {proxyconnect.ErrTooManyLegs, KindEndless},
	{ntlm.ErrNoChallenge, KindNoChallenge},
	{context.DeadlineExceeded, KindTimeout},
	{turntcp.ErrIntegrity, KindTURNUser},
}

func kindOf(err error) Kind {
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if kind := turnKind(err); kind != "" {
		return kind
	}
	if kind := tlsKind(err); kind != "" {
		return kind
	}
	return netKind(err)
}

func turnKind(err error) Kind {
	var te *turntcp.Error
	switch {
	case !errors.As(err, &te):
		return ""
	case te.Code == 401:
		return KindTURNUser
	}
	return KindTURN
}

func tlsKind(err error) Kind {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return KindAuthority
	case errors.As(err, &name):
		return KindName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return KindExpired
	case errors.As(err, &record):
		return KindNotTLS
	case errors.As(err, &verify), errors.As(err, &alert):
		return KindTLS
	}
	return ""
}

func netKind(err error) Kind {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var ce *proxyconnect.ConnectError
	switch {
	case errors.As(err, &dns):
		return KindUnknownName
	case errors.As(err, &timeout) && timeout.Timeout():
		return KindTimeout
	case closed(err):
		return KindClosed
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return KindUnreachable
	case errors.As(err, &ce) && ce.Stage == proxyconnect.StageConfig:
		return KindConfig
	case errors.As(err, &ce) && ce.Stage == proxyconnect.StageConnect && ce.Status == 0:
		return KindNotHTTP // it answered, and not with a status
	}
	return KindOther
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
