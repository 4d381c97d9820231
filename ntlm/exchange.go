package ntlm

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/go-ntlmssp"
	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// An Exchange is the handshake of one connection. It is used by one goroutine.
type Exchange struct {
	user, domain, workstation string
	ntHash                    []byte
	proxyHost                 string
	bound                     bool
	binding                   []byte
	spnego                    bool

	step      step
	negotiate []byte // our type 1, for the MIC
	realm     string // of the challenge, for errors
}

type step int

const (
	begun         step = iota // nothing sent
	negotiated                // type 1 sent
	authenticated             // type 3 sent
	failed
)

func (s step) String() string {
	return [...]string{"not started", "type 1 sent", "type 3 sent", "failed"}[s]
}

// Next answers the proxy: with the negotiate message (type 1) at first, then with the response
// (type 3) to its challenge. Both strings are base64, what follows the scheme in Proxy-Authenticate
// and Proxy-Authorization. The context is looked at and nothing waits.
//
// The challenge of the first call is ignored: a type 2 that answers none of our messages could only
// belong to somebody else. The challenge of the second may be a bare NTLM message or one in SPNEGO,
// whatever was sent; the answer has its form.
//
// Errors are ErrNoChallenge, a *ChallengeError, and a *RejectedError for any call after type 3.
func (e *Exchange) Next(ctx context.Context, challenge string) (credentials string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	switch e.step {
	case begun:
		return e.first()
	case negotiated:
		return e.second(strings.TrimSpace(challenge))
	case authenticated:
		return "", &RejectedError{Account: accountName(e.user, e.domain), Realm: e.realm, ChannelBound: e.bound}
	}
	return "", errOver
}

func (e *Exchange) first() (string, error) {
	token, err := e.begin()
	if err != nil {
		e.step = failed
		return "", fmt.Errorf("ntlm: negotiate message (type 1): %w", err)
	}
	e.step = negotiated
	return base64.StdEncoding.EncodeToString(token), nil
}

func (e *Exchange) second(challenge string) (string, error) {
	e.step = failed
	if challenge == "" {
		return "", ErrNoChallenge
	}
	token, err := decode(challenge)
	if err == nil {
		token, err = e.respond(token)
	}
	if err != nil {
		return "", &ChallengeError{Err: err}
	}
	e.step = authenticated
	return base64.StdEncoding.EncodeToString(token), nil
}

// begin makes the first token.
func (e *Exchange) begin() ([]byte, error) {
	extra := nlmp.RequestTarget | nlmp.Version
	if e.spnego {
		extra |= nlmp.Sign
	}
	msg, err := negotiateMessage(extra)
	if err != nil {
		return nil, err
	}
	e.negotiate = msg
	if e.spnego {
		return wrapNegotiate(msg)
	}
	return msg, nil
}

// negotiateMessage is go-ntlmssp's (40 bytes, with Version; gss-ntlmssp refuses shorter ones), with
// more flags: without REQUEST_TARGET Samba sends no target info, VERSION belongs to the field, and
// without SIGN Samba does not check the signature of SPNEGO's list.
func negotiateMessage(extra nlmp.Flags) ([]byte, error) {
	msg, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		return nil, err
	}
	if len(msg) != 40 {
		return nil, fmt.Errorf("made %d bytes instead of 40", len(msg))
	}
	flags := nlmp.Flags(binary.LittleEndian.Uint32(msg[12:])) | extra
	binary.LittleEndian.PutUint32(msg[12:], uint32(flags))
	return msg, nil
}

// respond makes the second token from the proxy's.
func (e *Exchange) respond(token []byte) ([]byte, error) {
	challenge, wrapped, err := unwrapChallenge(token)
	if err != nil {
		return nil, err
	}
	msg, sessionKey, err := e.authenticate(challenge)
	if err != nil || !wrapped {
		return msg, err
	}
	return wrapAuthenticate(msg, sessionKey, e.spnego)
}

// decode reads a token68, with or without its padding.
func decode(challenge string) ([]byte, error) {
	if len(challenge) > base64.StdEncoding.EncodedLen(nlmp.MaxMessage) {
		return nil, fmt.Errorf("%d characters, limit %d", len(challenge), base64.StdEncoding.EncodedLen(nlmp.MaxMessage))
	}
	token, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(challenge, "="))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return token, nil
}
