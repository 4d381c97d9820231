package turntcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// An Error is an error response of the server (RFC 8489 section 14.8, RFC 8656 section 19).
type Error struct {
	Code   int    // 401, 403, 437, ...
	Reason string // the server's words, or those of the RFC where it has none
	Method string // of the request: "Allocate"

	// Unsigned says that the server did not sign it although the request was signed, so that anybody
	// on the way may have sent it. 401 and 438 never are signed.
	Unsigned bool
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: error %d", e.Method, e.Code)
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.Unsigned {
		s += ", not signed by the server"
	}
	return s
}

// ErrIntegrity says that a response was not signed with our password (RFC 8489 section 9.2.5): it is
// not from the server, or the server is not the one that knows it.
var ErrIntegrity = errors.New("the response is not signed with our password")

// maxAttempts bounds the challenges of one request: none, 401, 438, and another 438.
const maxAttempts = 4

// longTerm is what the server challenged us with (RFC 8489 section 9.2).
type longTerm struct {
	realm stun.Realm
	nonce stun.Nonce
	key   stun.MessageIntegrity // nil before the first challenge
}

// do sends a request and returns the success response, answering challenges: a first 401, and 438
// (stale nonce).
func (c *Client) do(ctx context.Context, method stun.Method, attributes ...stun.Setter) (*stun.Message, error) {
	for attempt := 1; ; attempt++ {
		c.mu.Lock()
		auth := c.auth
		c.mu.Unlock()
		response, err := c.once(ctx, method, auth, attributes)
		var refused *Error
		if err == nil || !errors.As(err, &refused) || attempt == maxAttempts {
			return response, err
		}
		challenged := refused.Code == int(stun.CodeUnauthorized) && auth.key == nil ||
			refused.Code == int(stun.CodeStaleNonce)
		if !challenged || !c.takeChallenge(response, auth) {
			return nil, err
		}
	}
}

// once is one transaction. With an *Error it returns the response too.
func (c *Client) once(ctx context.Context, method stun.Method, auth longTerm, attributes []stun.Setter) (*stun.Message, error) {
	setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if auth.key != nil {
		setters = append(setters, stun.NewUsername(c.cfg.Username), auth.realm, auth.nonce, auth.key)
	}
	request, err := stun.Build(setters...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	response, err := c.transact(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if response.Type.Method != method {
		return nil, fmt.Errorf("%s: the response is to %s", method, response.Type.Method)
	}
	signed := auth.key == nil || auth.key.Check(response) == nil
	if response.Type.Class == stun.ClassSuccessResponse {
		if !signed {
			return nil, fmt.Errorf("%s: %w", method, ErrIntegrity)
		}
		return response, nil
	}
	return response, responseError(response, signed)
}

func responseError(m *stun.Message, signed bool) error {
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(m); err != nil {
		return fmt.Errorf("%s: error response without a code: %w", m.Type.Method, err)
	}
	e := &Error{Code: int(code.Code), Reason: string(code.Reason), Method: m.Type.Method.String()}
	if e.Reason == "" {
		e.Reason = reasons[e.Code]
	}
	challenge := e.Code == int(stun.CodeUnauthorized) || e.Code == int(stun.CodeStaleNonce)
	e.Unsigned = !signed && !challenge
	return e
}

// reasons stand in for a server that gives none, as pion does.
var reasons = map[int]string{
	300: "Try Alternate", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 420: "Unknown Attribute",
	437: "Allocation Mismatch", 438: "Stale Nonce", 440: "Address Family not Supported", 441: "Wrong Credentials",
	442: "Unsupported Transport Protocol", 443: "Peer Address Family Mismatch", 486: "Allocation Quota Reached",
	500: "Server Error", 508: "Insufficient Capacity",
}

// takeChallenge keeps the realm and nonce of a challenge for this request and those after it. It
// reports false if the challenge is not one, or the same again.
func (c *Client) takeChallenge(m *stun.Message, old longTerm) bool {
	if c.cfg.Username == "" {
		return false
	}
	var auth longTerm
	if m == nil || auth.realm.GetFrom(m) != nil || auth.nonce.GetFrom(m) != nil {
		return false
	}
	if old.key != nil && old.nonce.String() == auth.nonce.String() && old.realm.String() == auth.realm.String() {
		return false
	}
	auth.key = stun.NewLongTermIntegrity(c.cfg.Username, auth.realm.String(), c.cfg.Password)
	c.mu.Lock()
	c.auth = auth
	c.mu.Unlock()
	return true
}

// Binding asks for our address as the server sees it: behind a proxy, the proxy's.
func (c *Client) Binding(ctx context.Context) (mapped netip.AddrPort, err error) {
	response, err := c.once(ctx, stun.MethodBinding, longTerm{}, nil)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return address(response, stun.AttrXORMappedAddress)
}

// An Allocation is what the server gave us.
type Allocation struct {
	Relayed  netip.AddrPort // where peers send to
	Mapped   netip.AddrPort // our address as the server sees it
	Lifetime time.Duration  // until it must have been refreshed
}

// Allocate asks for a relay for UDP. An *Error with code 401 says that the user name or password is
// wrong.
func (c *Client) Allocate(ctx context.Context) (Allocation, error) {
	response, err := c.do(ctx, stun.MethodAllocate,
		stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}})
	if err != nil {
		return Allocation{}, err
	}
	var a Allocation
	if a.Relayed, err = address(response, stun.AttrXORRelayedAddress); err != nil {
		return a, err
	}
	if a.Mapped, err = address(response, stun.AttrXORMappedAddress); err != nil {
		return a, err
	}
	a.Lifetime, err = lifetime(response)
	return a, err
}

// Refresh prolongs the allocation and returns the lifetime granted; 0 deletes it.
func (c *Client) Refresh(ctx context.Context, wished time.Duration) (time.Duration, error) {
	seconds := binary.BigEndian.AppendUint32(nil, uint32(max(wished, 0)/time.Second))
	response, err := c.do(ctx, stun.MethodRefresh, stun.RawAttribute{Type: stun.AttrLifetime, Value: seconds})
	if err != nil {
		return 0, err
	}
	return lifetime(response)
}

// CreatePermission lets the peers send to us and us to them, for 5 minutes from now.
func (c *Client) CreatePermission(ctx context.Context, peers ...netip.Addr) error {
	var attributes []stun.Setter
	for _, p := range peers {
		attributes = append(attributes, peerAddress(netip.AddrPortFrom(p, 0)))
	}
	_, err := c.do(ctx, stun.MethodCreatePermission, attributes...)
	return err
}

// Channel numbers (RFC 8656 section 12).
const (
	firstChannel = 0x4000
	lastChannel  = 0x4FFF
)

// Bind binds a channel to the peer, which gives it a permission too, and returns its number. A peer
// that has a channel has it refreshed, to 10 minutes from now.
func (c *Client) Bind(ctx context.Context, peer netip.AddrPort) (number uint16, err error) {
	if number, err = c.channelFor(peer); err != nil {
		return 0, err
	}
	_, err = c.do(ctx, stun.MethodChannelBind,
		stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{byte(number >> 8), byte(number), 0, 0}},
		peerAddress(peer))
	if err != nil {
		return 0, err
	}
	return number, nil
}

// channelFor returns the number of the peer's channel. A number is never given to another peer, also
// if the server refused it: whether it did may be unknown.
func (c *Client) channelFor(peer netip.AddrPort) (uint16, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.channels.Load()
	for i, p := range old {
		if p == peer {
			return firstChannel + uint16(i), nil
		}
	}
	if len(old) > lastChannel-firstChannel {
		return 0, fmt.Errorf("bind a channel to %v: all %d are in use", peer, len(old))
	}
	channels := append(old[:len(old):len(old)], peer)
	c.channels.Store(&channels)
	return firstChannel + uint16(len(old)), nil
}

func (c *Client) channelPeer(number uint16) netip.AddrPort {
	channels := *c.channels.Load()
	if i := int(number) - firstChannel; i >= 0 && i < len(channels) {
		return channels[i]
	}
	return netip.AddrPort{}
}
