package turntcp

import "github.com/pion/stun/v4"

// The requests that need a word of ours (RFC 8656 section 17).
const (
	typeRefresh          = 0x0004
	typeCreatePermission = 0x0008
	typeChannelBind      = 0x0009

	typeAllocateSuccess = 0x0103
)

// replyMismatch answers a request, just authenticated, that has no allocation (437) or another
// user's (441), as RFC 8656 section 5 demands. pion goes on to discard it, and over TCP the client
// would wait for as long as its timer runs.
func (c *conn) replyMismatch() {
	switch Frame(c.request).messageType() {
	case typeRefresh, typeCreatePermission, typeChannelBind:
	default:
		return
	}
	var code stun.ErrorCode
	switch f := c.flow(); {
	case f == nil:
		code = stun.CodeAllocMismatch
	case f.user != c.account:
		code = stun.CodeWrongCredentials
	default:
		return
	}
	if reply := c.errorReply(c.request, code); reply != nil {
		_, _ = c.WriteTo(reply, nil) // a failure ends the connection
	}
}

// correct returns what to send for a frame of pion's. It puts our reason into an error response: pion
// says 401 for a ChannelBind to a forbidden peer (403, RFC 8656 section 12.2), and 508 for a relay
// that is not to be had at all (440, 442, section 7.2). And it takes out the RESERVATION-TOKEN that
// pion gives to everybody who asks for an even port.
func (c *conn) correct(p []byte) []byte {
	f := Frame(p)
	var reply []byte
	switch {
	case f.messageType()&classMask == classError && c.refusal != 0:
		reply = c.errorReply(p, c.refusal)
	case f.messageType() == typeAllocateSuccess:
		reply = c.withoutToken(p)
	}
	if reply == nil {
		return p
	}
	return reply
}

// withoutToken is the response without its RESERVATION-TOKEN, or nil if it has none.
func (c *conn) withoutToken(message []byte) []byte {
	var m stun.Message
	if stun.Decode(message, &m) != nil || !m.Contains(stun.AttrReservationToken) {
		return nil
	}
	setters := []stun.Setter{&m, m.Type}
	for _, a := range m.Attributes {
		if a.Type != stun.AttrReservationToken && a.Type != stun.AttrMessageIntegrity {
			setters = append(setters, a)
		}
	}
	reply, err := stun.Build(append(setters, stun.MessageIntegrity(c.key))...)
	if err != nil {
		return nil
	}
	return reply.Raw
}

// wantsReservation tells whether the request asks to reserve the port after its own: EVEN-PORT with
// the R bit (RFC 8656 section 18.6).
func (c *conn) wantsReservation() bool {
	var m stun.Message
	if stun.Decode(c.request, &m) != nil {
		return false
	}
	value, err := m.Get(stun.AttrEvenPort)
	return err == nil && len(value) > 0 && value[0]&0x80 != 0
}

// errorReply is a signed error response of the transaction that the message belongs to.
func (c *conn) errorReply(message []byte, code stun.ErrorCode) []byte {
	var m stun.Message
	if stun.Decode(message, &m) != nil {
		return nil
	}
	reply, err := stun.Build(&m, stun.NewType(m.Type.Method, stun.ClassErrorResponse), code, stun.MessageIntegrity(c.key))
	if err != nil {
		return nil
	}
	return reply.Raw
}
