package kerberostest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// An Acceptor verifies Kerberos tokens as a proxy does (RFC 4559). It may be used by several
// goroutines at a time; its fields are not changed after the first use.
type Acceptor struct {
	// Keytab is the content of a keytab file. A ticket for any of its principals is taken.
	Keytab []byte

	// RequireChannelBinding refuses tokens that are not bound to the channel, where the channel has
	// bindings. Tokens bound to another channel are always refused.
	RequireChannelBinding bool

	// Skew is how far the client's clock may differ. Default: 5 minutes.
	Skew time.Duration

	// Now is the clock. Default: time.Now.
	Now func() time.Time

	parse   sync.Once
	keytab  krb5.Keytab
	invalid error // of Keytab
	replays replayCache
}

// A Handshake is one client's authentication on one connection, used by one goroutine.
type Handshake struct {
	acceptor *Acceptor
	binding  gss.Binding
	final    string
}

// New starts a handshake. channelBinding is the application data of the binding to the TLS channel
// (RFC 5929), nil where there is none.
func (a *Acceptor) New(channelBinding []byte) *Handshake {
	return &Handshake{acceptor: a, binding: gss.Bind(channelBinding)}
}

// Accept verifies what came after "Negotiate". When the client is accepted, user is "alice@REALM",
// challenge is "" and Final has the acceptor's own token. The error says for the log why a token is
// refused; challenge is then what a proxy may send after "Negotiate" in its 407: the refusal in
// Kerberos' terms, "" when the token was not understood.
func (h *Handshake) Accept(credentials string) (challenge, user string, err error) {
	token, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "", "", fmt.Errorf("not base64: %w", err)
	}
	inner, spnego, err := unwrap(token)
	if err != nil {
		return "", "", err
	}
	id, message, err := gss.Unwrap(inner)
	if err != nil {
		return "", "", err
	}
	if id != gss.APReq {
		return "", "", fmt.Errorf("token of kind %#04x, want an AP-REQ", id)
	}
	enc, auth, mutual, err := h.verify(message)
	if err != nil {
		return h.complain(err, spnego), "", err
	}
	if h.final, err = finalToken(enc.Key, auth, mutual, spnego); err != nil {
		return "", "", err
	}
	return "", enc.CName.String() + "@" + enc.CRealm, nil
}

// Final is the acceptor's last token, for the 2xx response, in base64: the acceptance and, when the
// client asked for mutual authentication, the proof that we have the service's key. It is "" before
// Accept has accepted.
func (h *Handshake) Final() string { return h.final }

// unwrap takes the mechanism's token out of SPNEGO; a bare Kerberos token is taken, too.
func unwrap(token []byte) (inner []byte, spnego bool, err error) {
	if gss.IsNTLM(token) {
		return nil, false, errors.New("the client sent NTLM instead of Kerberos: it has no ticket")
	}
	if mech := gss.Mech(token); mech != nil && gss.IsKerberos(mech) {
		return token, false, nil
	}
	first, err := gss.ParseInit(token)
	switch {
	case err != nil:
		return nil, false, err
	case len(first.Mechs) == 0:
		return nil, false, errors.New("the client offers an empty list of mechanisms")
	case !gss.IsKerberos(first.Mechs[0]):
		return nil, false, fmt.Errorf("the client prefers %s to Kerberos", gss.MechName(first.Mechs[0]))
	case len(first.Token) == 0:
		return nil, false, errors.New("the client offers Kerberos without a token")
	}
	return first.Token, true, nil
}

// verify checks ticket, authenticator, time, channel and replay (RFC 4120 section 3.2.3).
func (h *Handshake) verify(message []byte) (*krb5.EncTicket, *krb5.Authenticator, bool, error) {
	ap, err := krb5.ParseAPReq(message)
	if err != nil {
		return nil, nil, false, fmt.Errorf("malformed AP-REQ: %w", err)
	}
	ticket, err := krb5.ParseTicket(ap.Ticket)
	if err != nil {
		return nil, nil, false, fmt.Errorf("malformed ticket: %w", err)
	}
	key, err := h.acceptor.serviceKey(ticket)
	if err != nil {
		return nil, nil, false, err
	}
	enc, auth, err := openAPReq(ap, ticket, key, krb5.UsageAPAuthenticator)
	if err != nil {
		return nil, nil, false, err
	}
	if err := h.acceptor.checkTimes(enc, auth); err != nil {
		return nil, nil, false, err
	}
	if err := h.checkChannel(auth.Checksum); err != nil {
		return nil, nil, false, err
	}
	if !h.acceptor.replays.add(ap.Authenticator.Cipher, h.acceptor.now(), 2*h.acceptor.skew()) {
		return nil, nil, false, refuse(krb5.ErrRepeat, "this authenticator was shown before")
	}
	return enc, auth, ap.Options.At(krb5.OptMutualRequired) == 1, nil
}

func (a *Acceptor) serviceKey(ticket *krb5.Ticket) (krb5.Key, error) {
	a.parse.Do(func() { a.keytab, a.invalid = krb5.ParseKeytab(a.Keytab) })
	if a.invalid != nil {
		return krb5.Key{}, a.invalid
	}
	if !a.keytab.Holds(ticket.Server, ticket.Realm) {
		return krb5.Key{}, refuse(krb5.ErrNoKey, "the keytab has no %s@%s", ticket.Server, ticket.Realm)
	}
	entry, ok := a.keytab.Find(ticket.Server, ticket.Realm, uint32(ticket.Enc.KVNO), ticket.Enc.Etype)
	if !ok {
		return krb5.Key{}, refuse(krb5.ErrBadKeyVersion, "the keytab has another key version or type of %s@%s than the ticket: version %d, %s",
			ticket.Server, ticket.Realm, ticket.Enc.KVNO, krb5.EtypeName(ticket.Enc.Etype))
	}
	return entry.Key, nil
}

func (a *Acceptor) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *Acceptor) skew() time.Duration {
	if a.Skew > 0 {
		return a.Skew
	}
	return maxSkew
}

func (a *Acceptor) checkTimes(enc *krb5.EncTicket, auth *krb5.Authenticator) error {
	now, skew := a.now(), a.skew()
	start := enc.StartTime
	if start.IsZero() {
		start = enc.AuthTime
	}
	switch offset := auth.Time.Sub(now); {
	case offset.Abs() > skew:
		return refuse(krb5.ErrSkew, "the client's clock differs by %v", offset.Round(time.Second))
	case start.Sub(now) > skew || enc.Flags.At(krb5.FlagInvalid) == 1:
		return refuse(krb5.ErrTicketNotYet, "the ticket is valid from %s", start.Format(time.RFC3339))
	case now.Sub(enc.EndTime) > skew:
		return refuse(krb5.ErrTicketExpired, "the ticket expired at %s", enc.EndTime.Format(time.RFC3339))
	}
	return nil
}

// checkChannel compares the channel bindings (RFC 4121 section 4.1.1.2).
func (h *Handshake) checkChannel(sum krb5.Checksum) error {
	if sum.Type != krb5.ChecksumGSS {
		return refuse(krb5.ErrInappChecksum, "the authenticator has no GSS-API checksum")
	}
	bnd, _, err := gss.ParseChecksum(sum.Sum)
	unbound := bnd == gss.Binding{}
	switch {
	case err != nil:
		return err
	case h.binding == gss.Binding{}:
		return nil // nothing to compare with
	case unbound && h.acceptor.RequireChannelBinding:
		return refuse(krb5.ErrModified, "the token is not bound to the TLS channel")
	case !unbound && bnd != h.binding:
		return refuse(krb5.ErrModified, "the token is bound to another TLS channel")
	}
	return nil
}

// finalToken accepts, with an AP-REP when the client asks for it (RFC 4120 section 3.2.4).
func finalToken(session krb5.Key, auth *krb5.Authenticator, mutual, spnego bool) (string, error) {
	resp := gss.Resp{State: gss.AcceptCompleted, Mech: gss.Kerberos}
	if mutual {
		plain, err := (&krb5.EncAPRep{Time: auth.Time, Usec: auth.Usec, Seq: auth.Seq}).Marshal()
		if err != nil {
			return "", err
		}
		rep := &krb5.APRep{Version: krb5.Version, Type: krb5.TypeAPRep}
		if rep.Enc, err = krb5.Encrypt(session, krb5.UsageAPRep, plain); err != nil {
			return "", err
		}
		message, err := rep.Marshal()
		if err != nil {
			return "", err
		}
		if resp.Token, err = gss.Wrap(gss.APRep, message); err != nil {
			return "", err
		}
	}
	if !spnego {
		return base64.StdEncoding.EncodeToString(resp.Token), nil
	}
	token, err := resp.Marshal()
	return base64.StdEncoding.EncodeToString(token), err
}

// complain is the refusal as a KRB-ERROR (RFC 4121 section 4.1); "" for errors without a code.
func (h *Handshake) complain(err error, spnego bool) string {
	var r *refusal
	if !errors.As(err, &r) {
		return ""
	}
	now := h.acceptor.now()
	m := &krb5.Error{
		Version: krb5.Version, Type: krb5.TypeError, STime: krb5.Time(now), SUsec: krb5.Usec(now),
		Code: r.code, Server: krb5.Name{Type: krb5.NTSrvInst, Parts: []string{"HTTP"}},
	}
	message, err := m.Marshal()
	if err != nil {
		return ""
	}
	token, err := gss.Wrap(gss.KRBError, message)
	if err == nil && spnego {
		token, err = gss.Resp{State: gss.Reject, Token: token}.Marshal()
	}
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(token)
}
