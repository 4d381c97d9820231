package kerberos

import (
	"fmt"
	"time"

	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// Evidence is what an Exchange can tell a diagnosis. It holds no secret.
type Evidence struct {
	Client  string // principal that the ticket names, with realm
	Service string // service principal that the ticket was asked for under
	Etype   string // encryption of the ticket by the service's key, as klist names it
	KVNO    int    // version of that key, to compare with klist -k; 0: the KDC does not say
	Ends    time.Time

	// Clock is the KDC's clock minus ours when it made the ticket, to about a second. ClockKnown is
	// false for tickets of a credential cache, whose making we did not see.
	Clock      time.Duration
	ClockKnown bool

	// Replies are the proxy's tokens in their order: SPNEGO's state and what it carries.
	Replies []string
}

// Evidence says what was shown to the proxy and what came back.
func (e *Exchange) Evidence() Evidence {
	t := e.ticket
	v := Evidence{
		Client: t.client.String() + "@" + t.clientRealm, Service: e.spn, Ends: t.end,
		Clock: t.clock, ClockKnown: t.clockKnown, Replies: e.replies,
	}
	if parsed, err := krb5.ParseTicket(t.raw); err == nil {
		v.Etype, v.KVNO = krb5.EtypeName(parsed.Enc.Etype), parsed.Enc.KVNO
	}
	return v
}

// maxReplies bounds what is kept of a proxy that goes on.
const maxReplies = 8

var stateNames = map[int]string{
	gss.NoState: "no state", gss.AcceptCompleted: "accept-completed", gss.AcceptIncomplete: "accept-incomplete",
	gss.Reject: "reject", gss.RequestMIC: "request-mic",
}

// note keeps in words what a reply is.
func (e *Exchange) note(resp gss.Resp) {
	if len(e.replies) == maxReplies {
		return
	}
	text, known := stateNames[resp.State]
	if !known {
		text = fmt.Sprintf("state %d", resp.State)
	}
	if resp.Mech != nil {
		text += ", " + gss.MechName(resp.Mech)
	}
	if resp.Token != nil {
		text += ", " + innerName(resp.Token)
	}
	e.replies = append(e.replies, text)
}

// innerName says which message of Kerberos a token is.
func innerName(token []byte) string {
	id, message, err := gss.Unwrap(token)
	switch {
	case err != nil:
		return fmt.Sprintf("%d bytes that are no token of Kerberos", len(token))
	case id == gss.APRep:
		return "AP-REP"
	case id == gss.KRBError:
		if m, err := krb5.ParseError(message); err == nil {
			name, _ := krb5.ErrorName(m.Code)
			return fmt.Sprintf("KRB-ERROR %d %s", m.Code, name)
		}
		return "malformed KRB-ERROR"
	}
	return fmt.Sprintf("token of kind %#04x", id)
}
