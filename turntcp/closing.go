package turntcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// A CloseReason says in a word why a connection or an allocation ended.
type CloseReason string

const (
	ClosedByClient    CloseReason = "client_closed"  // the client, or a proxy, closed the connection
	ClosedByReset     CloseReason = "client_reset"   // by RST, or the system gave up
	ClosedDeleted     CloseReason = "client_deleted" // an allocation: a Refresh with lifetime 0
	ClosedExpired     CloseReason = "expired"        // an allocation: not refreshed in time
	ClosedRelayFailed CloseReason = "relay_failed"   // its allocation's relay socket is broken
	ClosedIdle        CloseReason = "idle"           // Config.FirstRequestTimeout
	ClosedSlow        CloseReason = "slow_client"    // Config.WriteTimeout, or too many responses unread
	ClosedBadFrame    CloseReason = "bad_frame"      // neither STUN nor ChannelData, or too large
	ClosedRejected    CloseReason = "bad_credentials"
	ClosedTLS         CloseReason = "tls_handshake"     // failed
	ClosedHandshake   CloseReason = "handshake_timeout" // Config.HandshakeTimeout
	ClosedProxyHeader CloseReason = "proxy_header"      // bad, or missing
	ClosedHealthCheck CloseReason = "health_check"      // of Config.ProxyProtocolFrom, who announced nobody
	ClosedFull        CloseReason = "connection_limit"  // Config.MaxConnections
	ClosedAddressFull CloseReason = "address_limit"     // Config.MaxConnectionsPerIP
	ClosedStream      CloseReason = "stream_ended"      // it carried a peer's stream, which is over
	ClosedKilled      CloseReason = "killed"            // Server.Kill
	ClosedByServer    CloseReason = "server_closed"
	ClosedOtherwise   CloseReason = "network"
)

// A closeError says in a word and in many why a connection is closed.
type closeError struct {
	reason CloseReason
	error
}

func (e closeError) Unwrap() error { return e.error }

func because(reason CloseReason, err error) error { return closeError{reason, err} }

// noData is why a connection is closed that could not be written.
func noData(err error) error {
	reason := ClosedSlow
	if isReset(err) {
		reason = ClosedByReset
	}
	return because(reason, fmt.Errorf("the client takes no data: %w", err))
}

// noEntrance is why a connection is closed that did not get to its first frame.
func noEntrance(reason CloseReason, what string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		reason = ClosedHandshake
	}
	return because(reason, fmt.Errorf("%s: %w", what, err))
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ETIMEDOUT)
}

func reasonOf(err error) CloseReason {
	var known closeError
	switch {
	case errors.As(err, &known):
		return known.reason
	case errors.Is(err, errServerClosed):
		return ClosedByServer
	case errors.Is(err, errKilled):
		return ClosedKilled
	case errors.Is(err, errStreamEnded):
		return ClosedStream
	case errors.Is(err, ErrFrame), errors.Is(err, errTooLarge):
		return ClosedBadFrame
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ClosedByClient
	case isReset(err):
		return ClosedByReset
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ClosedIdle
	}
	return ClosedOtherwise
}
