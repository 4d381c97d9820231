package turntcp

import "github.com/pion/stun/v4"

// The requests that need a word of ours (RFC 8656 section 17).
const (
	typeAllocate         = 0x0003
	typeRefresh          = 0x0004
	typeCreatePermission = 0x0008
	typeChannelBind      = 0x0009
	typeConnect          = 0x000A
	typeConnectionBind   = 0x000B

	typeAllocateSuccess = 0x0103
)

// replyMismatch answers a request, just authenticated, that has no allocation (437) or another
// user's (441), as RFC 8656 section 5 demands. pion goes on to discard it, and over TCP the client
// would wait for as long as its timer runs. It reports whether it did.
func (c *conn) replyMismatch() bool {
	switch Frame(c.request).messageType() {
	case typeRefresh, typeCreatePermission, typeChannelBind, typeConnect:
	default:
		return false
	}
	var code stun.ErrorCode
	switch f := c.flow(); {
	case f == nil:
		code = stun.CodeAllocMismatch
	case f.user != c.account:
		code = stun.CodeWrongCredentials
	default:
		return false
	}
	if reply := c.errorReply(c.request, code); reply != nil {
		_ = c.send(burst{frames: reply}) // a failure ends the connection
	}
	return true
}

// takeOver answers the requests of RFC 6062, for which pion has only one server's connections. What it
// refuses is left to pion and corrected.
func (c *conn) takeOver() {
	switch {
	case !c.srv.cfg.TCPRelays:
	case Frame(c.request).messageType() == typeConnect:
		c.verdict = c.connect()
		c.taken = c.verdict == 0
		if c.taken {
			c.verdict = stun.CodeForbidden // so that pion does not connect, too
		}
	case Frame(c.request).messageType() == typeConnectionBind:
		c.taken = c.bindStream()
	}
}

// hasUnknown tells whether pion answers the request with 420.
func (f Frame) hasUnknown() (unknown bool) {
	f.eachAttribute(func(attribute uint16, _ []byte) {
		t := stun.AttrType(attribute)
		unknown = unknown || t.Required() && !isKnown(t)
	})
	return unknown
}

// isKnown is AttrType.Known for what must be comprehended, without the map that it makes each time.
func isKnown(t stun.AttrType) bool {
	switch t {
	case stun.AttrMappedAddress, stun.AttrUsername, stun.AttrErrorCode, stun.AttrMessageIntegrity, stun.AttrUnknownAttributes,
		stun.AttrRealm, stun.AttrNonce, stun.AttrXORMappedAddress, stun.AttrPriority, stun.AttrUseCandidate,
		stun.AttrChannelNumber, stun.AttrLifetime, stun.AttrXORPeerAddress, stun.AttrData, stun.AttrXORRelayedAddress,
		stun.AttrEvenPort, stun.AttrRequestedTransport, stun.AttrDontFragment, stun.AttrReservationToken, stun.AttrConnectionID,
		stun.AttrRequestedAddressFamily, stun.AttrMessageIntegritySHA256, stun.AttrPasswordAlgorithm, stun.AttrUserhash:
		return true
	}
	return false
}

// correct returns what to send for a frame of pion's. It puts our reason into an error response: pion
// says 401 for a ChannelBind to a forbidden peer (403, RFC 8656 section 12.2), and 508 for a relay
// that is not to be had at all (440, 442, section 7.2). And it tells who asked for a second port what
// token that is reserved under.
func (c *conn) correct(p []byte) []byte {
	f := Frame(p)
	var reply []byte
	switch {
	case f.messageType()&classMask == classError && c.refusal != 0:
		reply = c.errorReply(p, c.refusal)
	case f.messageType() == typeAllocateSuccess:
		reply = c.withToken(p)
	}
	if reply == nil {
		return p
	}
	return reply
}

// withToken is the response with its RESERVATION-TOKEN, or nil if it needs none.
func (c *conn) withToken(message []byte) []byte {
	flow := c.flow()
	var m stun.Message
	if flow == nil || flow.reserved == (token{}) || stun.Decode(message, &m) != nil {
		return nil
	}
	setters := []stun.Setter{&m, m.Type, stun.RawAttribute{Type: stun.AttrReservationToken, Value: flow.reserved[:]}}
	for _, a := range m.Attributes {
		if a.Type != stun.AttrMessageIntegrity {
			setters = append(setters, a)
		}
	}
	reply, err := stun.Build(append(setters, c.key)...)
	if err != nil {
		return nil
	}
	return reply.Raw
}

// errorReply is a signed error response of the transaction that the message belongs to.
func (c *conn) errorReply(message []byte, code stun.ErrorCode) []byte {
	var m stun.Message
	if stun.Decode(message, &m) != nil {
		return nil
	}
	reply, err := stun.Build(&m, stun.NewType(m.Type.Method, stun.ClassErrorResponse), code, c.key)
	if err != nil {
		return nil
	}
	return reply.Raw
}
