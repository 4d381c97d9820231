package kerberos

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// maxToken bounds the base64 that a proxy may send; HTTP headers are bounded below that.
const maxToken = 1 << 18

// An Exchange is one handshake on one connection, used by one goroutine.
type Exchange struct {
	client  *Client
	ticket  *ticket
	spn     string
	binding gss.Binding

	sent     *krb5.Authenticator // of our AP-REQ; nil before it
	proven   bool                // the proxy's AP-REP was right
	answered bool                // we sent our second, last token
	replies  []string            // what the proxy answered, in words
}

// SPN is the service principal that the ticket is for.
func (e *Exchange) SPN() string { return e.spn }

// Next returns the credentials to send after "Negotiate". The first call answers the offer: whatever
// hint the challenge brings is not needed. Another call means that the proxy did not let us in:
// usually it refuses the ticket, and the error has TokenRefused() returning true.
//
// ctx is not used: Begin has done all that takes time.
func (e *Exchange) Next(_ context.Context, challenge string) (credentials string, err error) {
	if e.sent == nil {
		return e.first()
	}
	if challenge == "" || e.answered {
		e.client.tickets.drop(e.ticket)
		return "", refusedTicket(e.refusal("it answers with the same challenge again"))
	}
	resp, err := e.read(challenge)
	if err != nil {
		return "", err
	}
	return e.second(resp)
}

// first shows the ticket, in the first token of SPNEGO (RFC 4178 section 4.2.1).
func (e *Exchange) first() (string, error) {
	const flags = gss.FlagMutual | gss.FlagReplay | gss.FlagSequence | gss.FlagInteg
	sum := krb5.Checksum{Type: krb5.ChecksumGSS, Sum: gss.Checksum(e.binding, flags)}
	ap, auth, err := e.client.apReq(e.ticket, sum, krb5.UsageAPAuthenticator, krb5.NewFlags(krb5.OptMutualRequired))
	if err != nil {
		return "", err
	}
	inner, err := gss.Wrap(gss.APReq, ap)
	if err != nil {
		return "", err
	}
	token, err := gss.Init{Mechs: []asn1.ObjectIdentifier{gss.Kerberos}, Token: inner}.Marshal()
	if err != nil {
		return "", err
	}
	e.sent = auth
	return base64.StdEncoding.EncodeToString(token), nil
}

// second answers a proxy that accepted our token and goes on. All that is left to say is that we are
// content: one mechanism was offered, so there is no list to protect (RFC 4178 section 5).
func (e *Exchange) second(resp gss.Resp) (string, error) {
	switch {
	case resp.Mech != nil && !gss.IsKerberos(resp.Mech):
		return "", refusedTicket(fmt.Errorf("the proxy does not take Kerberos: under Negotiate it wants %s", gss.MechName(resp.Mech)))
	case resp.State == gss.RequestMIC:
		return "", errors.New("the proxy asks to protect the list of mechanisms (request-mic), which is not supported")
	case !e.proven:
		return "", fmt.Errorf("the proxy asks for another token (SPNEGO state %d) without one of its own", resp.State)
	}
	e.answered = true
	token, err := gss.Resp{State: gss.AcceptCompleted}.Marshal()
	return base64.StdEncoding.EncodeToString(token), err
}

// Finish takes what the proxy's 2xx response brought after "Negotiate". Proxies need not prove
// themselves (Squid does not on CONNECT), so "" is right; a token that is there must be right.
func (e *Exchange) Finish(challenge string) error {
	if e.sent == nil {
		return errors.New("kerberos: Finish before Next")
	}
	if challenge == "" {
		return nil
	}
	_, err := e.read(challenge)
	if err != nil {
		return fmt.Errorf("the proxy let us in, but its own proof is wrong: %w", err)
	}
	return nil
}

// read decodes the proxy's token and checks what it proves or says.
func (e *Exchange) read(challenge string) (resp gss.Resp, err error) {
	if len(challenge) > maxToken {
		return resp, fmt.Errorf("the proxy's token of %d characters is too long", len(challenge))
	}
	token, err := base64.StdEncoding.DecodeString(challenge)
	if err != nil {
		return resp, fmt.Errorf("the proxy's token is not base64: %w", err)
	}
	if gss.IsNTLM(token) {
		return resp, refusedTicket(errors.New("the proxy does not take Kerberos: under Negotiate it answers with NTLM"))
	}
	resp = gss.Resp{State: gss.NoState, Token: token}
	if gss.Mech(token) == nil { // no GSS-API frame: the usual reply of SPNEGO
		if resp, err = gss.ParseResp(token); err != nil {
			return resp, fmt.Errorf("the proxy's token: %w", err)
		}
	}
	e.note(resp)
	if resp.Token != nil {
		err = e.inner(resp.Token)
	}
	if resp.State == gss.Reject && !isRefusedTicket(err) {
		e.client.tickets.drop(e.ticket)
		err = refusedTicket(e.refusal("it says reject"))
	}
	return resp, err
}

// inner checks Kerberos' own reply: the proof of the proxy, or its complaint.
func (e *Exchange) inner(token []byte) error {
	id, message, err := gss.Unwrap(token)
	if err != nil {
		return fmt.Errorf("the proxy's token: %w", err)
	}
	switch id {
	case gss.APRep:
		return e.verifyAPRep(message)
	case gss.KRBError:
		m, err := krb5.ParseError(message)
		if err != nil {
			return fmt.Errorf("the proxy's token: malformed KRB-ERROR: %w", err)
		}
		e.client.tickets.drop(e.ticket)
		return refusedTicket(e.refusal(complaint(m, e.client.config.Now())))
	}
	return fmt.Errorf("the proxy's token is of the unexpected kind %#04x", id)
}

func complaint(m *krb5.Error, now time.Time) string {
	name, words := krb5.ErrorName(m.Code)
	text := fmt.Sprintf("it says %s (%d, %s)", words, m.Code, name)
	if m.Text != "" {
		text += fmt.Sprintf(", %q", m.Text[:min(len(m.Text), maxText)])
	}
	if m.Code == krb5.ErrSkew {
		text += ", " + clockText("its clock", serverTime(m).Sub(now))
	}
	return text
}

// verifyAPRep checks the proof of the proxy: the time of our authenticator, encrypted with the
// session key, which it can only have from the ticket (RFC 4120 section 3.2.4).
func (e *Exchange) verifyAPRep(message []byte) error {
	rep, err := krb5.ParseAPRep(message)
	if err != nil {
		return fmt.Errorf("the proxy's token: malformed AP-REP: %w", err)
	}
	plain, err := krb5.Decrypt(e.ticket.key, krb5.UsageAPRep, rep.Enc)
	if err != nil {
		return errors.New("the proxy does not have the key of the ticket: its AP-REP does not open")
	}
	enc, err := krb5.ParseEncAPRep(plain)
	if err != nil {
		return fmt.Errorf("the proxy's token: malformed AP-REP: %w", err)
	}
	if !enc.Time.Equal(e.sent.Time) || enc.Usec != e.sent.Usec {
		return errors.New("the proxy's AP-REP answers another request than ours")
	}
	e.proven = true
	return nil
}

// refusal explains a refused ticket. The KDC gave it, so user and password are right.
func (e *Exchange) refusal(how string) error {
	return fmt.Errorf("the proxy refuses the kerberos ticket of %s@%s for %s: %s; the password is not the cause, the KDC accepted it: look at the proxy's keytab (principal, key version, encryption type), its clock and its replay cache, whether it requires or rejects channel binding, and whether it lets this user in",
		e.ticket.client, e.ticket.clientRealm, e.spn, how)
}
