package turntcp

import "github.com/pion/stun/v4"

// The message types that need a word of ours (RFC 8656 section 17).
const (
	typeRefresh          = 0x0004
	typeCreatePermission = 0x0008
	typeChannelBind      = 0x0009
	typeChannelBindError = 0x0119
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

// correct returns what to send for a frame of pion's: it says 401, wrong credentials, for a
// ChannelBind to a peer that is forbidden, 403 (RFC 8656 section 12.2).
func (c *conn) correct(p []byte) []byte {
	// The type first: only responses come from the goroutine that the other fields belong to.
	if Frame(p).messageType() != typeChannelBindError || !c.refused {
		return p
	}
	if reply := c.errorReply(p, stun.CodeForbidden); reply != nil {
		return reply
	}
	return p
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
