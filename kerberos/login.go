package kerberos

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A ticket is a ticket with its session key.
type ticket struct {
	client      krb5.Name
	clientRealm string
	server      krb5.Name
	realm       string // of the KDC that can read it: for a TGT, the realm whose services it is for
	raw         []byte
	key         krb5.Key
	end         time.Time
	clock       time.Duration // of the KDC minus ours, when it made the ticket
	clockKnown  bool
}

// ticketLifetime is what we ask for: the KDC gives less when it likes.
const ticketLifetime = 24 * time.Hour

// login gets a ticket granting ticket (RFC 4120 section 3.1): one request without
// pre-authentication, which tells the salt, and then exactly one with it. A wrong password so costs
// one failure, of which directories lock the account after a few.
func (c *Client) login(ctx context.Context, l *login) (*ticket, error) {
	if err := c.refused(); err != nil {
		return nil, err
	}
	t, err := c.tryLogin(ctx, l)
	c.remind(err)
	return t, err
}

func (c *Client) tryLogin(ctx context.Context, l *login) (*ticket, error) {
	etypes := wanted(c.conf.asEtypes(), l.secret.etypes())
	if len(etypes) == 0 {
		return nil, absent(fmt.Errorf("krb5.conf permits no encryption type of which the %s has a key", l.secret.kind()))
	}
	req := c.newASReq(l, etypes)
	answer, err := c.askAS(ctx, l, req, nil)
	if err != nil {
		return nil, withoutKDC(err)
	}
	var key krb5.Key
	if answer.required != nil {
		padata, made, err := c.preauth(l, etypes, answer)
		if err != nil {
			return nil, err
		}
		key = made
		req = c.newASReq(l, etypes)
		if answer, err = c.askAS(ctx, l, req, padata); err != nil {
			return nil, err
		}
		if answer.required != nil {
			return nil, fmt.Errorf("KDC %s of %s asks for pre-authentication again after it was given", answer.kdc, l.realm)
		}
	}
	return c.openASRep(l, req, answer, key)
}

// wanted is the intersection, in the order of the first; nil is everything.
func wanted(etypes, possible []int32) (both []int32) {
	for _, id := range etypes {
		if possible == nil || slices.Contains(possible, id) {
			both = append(both, id)
		}
	}
	return both
}

func (c *Client) newASReq(l *login, etypes []int32) *krb5.KDCReqBody {
	return &krb5.KDCReqBody{
		Options: krb5.NewFlags(),
		CName:   l.name,
		Realm:   l.realm,
		Server:  krb5.TGS(l.realm),
		Till:    krb5.Time(c.config.Now().Add(ticketLifetime)),
		Nonce:   nonce(),
		Etypes:  etypes,
	}
}

func nonce() int {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return int(binary.BigEndian.Uint32(b[:]) & 0x7fffffff)
}

// An asAnswer is an AS-REP, or the pre-authentication that the KDC requires first.
type asAnswer struct {
	kdc      endpoint
	rep      *krb5.KDCRep
	required []krb5.PAData
}

func (c *Client) askAS(ctx context.Context, l *login, body *krb5.KDCReqBody, padata []krb5.PAData) (*asAnswer, error) {
	raw, err := krb5.Encode(*body)
	if err != nil {
		return nil, err
	}
	request, err := (&krb5.KDCReq{Type: krb5.TypeASReq, PAData: padata, RawBody: raw}).Marshal()
	if err != nil {
		return nil, err
	}
	reply, kdc, err := c.ask(ctx, l.realm, request)
	if err != nil {
		return nil, fmt.Errorf("kerberos login of %s@%s: %w", l.name, l.realm, err)
	}
	return c.readASReply(l, kdc, reply)
}

func (c *Client) readASReply(l *login, kdc endpoint, reply []byte) (*asAnswer, error) {
	if krb5.Kind(reply) != krb5.TypeError {
		rep, err := krb5.ParseKDCRep(reply, krb5.TypeASRep)
		if err != nil {
			return nil, fmt.Errorf("KDC %s of %s sent a malformed reply: %w", kdc, l.realm, err)
		}
		return &asAnswer{kdc: kdc, rep: rep}, nil
	}
	m, err := krb5.ParseError(reply)
	if err != nil {
		return nil, fmt.Errorf("KDC %s of %s sent a malformed error: %w", kdc, l.realm, err)
	}
	if m.Code == krb5.ErrPreauthRequired {
		var methods []krb5.PAData
		if err := krb5.Decode(m.Data, &methods); err != nil {
			return nil, fmt.Errorf("KDC %s of %s sent a malformed list of pre-authentication methods: %w", kdc, l.realm, err)
		}
		return &asAnswer{kdc: kdc, required: methods}, nil
	}
	refusal := newKDCError(m, kdc.String(), c.config.Now())
	refusal.login, refusal.Realm = true, l.realm
	refusal.Principal = l.name.String() + "@" + l.realm
	refusal.Service = krb5.TGS(l.realm).String()
	return nil, refusal
}

// preauth encrypts the time (PA-ENC-TIMESTAMP, RFC 4120 section 5.2.7.2) with the first key that the
// KDC has and we may use.
func (c *Client) preauth(l *login, etypes []int32, a *asAnswer) ([]krb5.PAData, krb5.Key, error) {
	if !slices.ContainsFunc(a.required, func(pa krb5.PAData) bool { return pa.Type == krb5.PAEncTimestamp }) {
		return nil, krb5.Key{}, fmt.Errorf("KDC %s of %s wants another pre-authentication than a password or key gives: it offers the types %s", a.kdc, l.realm, types(a.required))
	}
	key, err := c.longTermKey(l, etypes, a.required)
	if err != nil {
		return nil, key, err
	}
	now := c.stamp()
	plain, err := krb5.Encode(krb5.EncTimestamp{Time: krb5.Time(now), Usec: krb5.Usec(now)})
	if err != nil {
		return nil, key, err
	}
	enc, err := krb5.Encrypt(key, krb5.UsagePreauthTimestamp, plain)
	if err != nil {
		return nil, key, err
	}
	value, err := krb5.Encode(enc)
	if err != nil {
		return nil, key, err
	}
	padata := []krb5.PAData{{Type: krb5.PAEncTimestamp, Value: value}}
	for _, pa := range a.required {
		if pa.Type == krb5.PAFXCookie { // must come back as it is (RFC 6113 section 5.2)
			padata = append(padata, pa)
		}
	}
	return padata, key, nil
}

func types(methods []krb5.PAData) string {
	var s []string
	for _, pa := range methods[:min(len(methods), 20)] {
		s = append(s, fmt.Sprint(pa.Type))
	}
	return strings.Join(s, ", ")
}

// longTermKey makes our key as ETYPE-INFO2 tells (RFC 4120 section 5.2.7.5); a KDC that sends none
// gets our first type and the default salt.
func (c *Client) longTermKey(l *login, etypes []int32, padata []krb5.PAData) (krb5.Key, error) {
	var offered []krb5.EtypeInfo2Entry
	for _, pa := range padata {
		if pa.Type == krb5.PAEtypeInfo2 {
			if err := krb5.Decode(pa.Value, &offered); err != nil {
				return krb5.Key{}, fmt.Errorf("the KDC of %s sent a malformed ETYPE-INFO2: %w", l.realm, err)
			}
		}
	}
	if offered == nil {
		offered = []krb5.EtypeInfo2Entry{{Etype: etypes[0]}}
	}
	for _, e := range offered {
		if !slices.Contains(etypes, e.Etype) {
			continue
		}
		salt := e.Salt
		if salt == "" {
			salt = l.name.Salt(l.realm)
		}
		return l.secret.key(e.Etype, salt, e.Params)
	}
	return krb5.Key{}, fmt.Errorf("the KDC of %s offers no encryption type that we may use: it has %s", l.realm, etypeNames(offered))
}

func etypeNames(offered []krb5.EtypeInfo2Entry) string {
	var s []string
	for _, e := range offered[:min(len(offered), 20)] {
		s = append(s, krb5.EtypeName(e.Etype))
	}
	return strings.Join(s, ", ")
}

// openASRep decrypts the reply and checks that it answers our request (RFC 4120 section 3.1.5). key
// is that of the pre-authentication; without one the reply says of which type it is.
func (c *Client) openASRep(l *login, body *krb5.KDCReqBody, a *asAnswer, key krb5.Key) (*ticket, error) {
	if !slices.Contains(body.Etypes, a.rep.Enc.Etype) {
		return nil, fmt.Errorf("KDC %s of %s answers with %s, which was not asked for", a.kdc, l.realm, krb5.EtypeName(a.rep.Enc.Etype))
	}
	if key.Etype != a.rep.Enc.Etype {
		made, err := c.longTermKey(l, []int32{a.rep.Enc.Etype}, a.rep.PAData)
		if err != nil {
			return nil, err
		}
		key = made
	}
	plain, err := krb5.Decrypt(key, krb5.UsageASRep, a.rep.Enc)
	if err != nil {
		return nil, rejected(fmt.Errorf("the %s of %s@%s is wrong: the reply of KDC %s does not open with it", l.secret.kind(), l.name, l.realm, a.kdc))
	}
	return openRep(a.rep, plain, body, l.name, a.kdc, c.config.Now())
}

// openRep checks what both kinds of replies have in common and makes the ticket. Names and realms
// are compared without regard to case: Active Directory answers with its own spelling.
func openRep(rep *krb5.KDCRep, plain []byte, body *krb5.KDCReqBody, client krb5.Name, kdc endpoint, now time.Time) (*ticket, error) {
	enc, err := krb5.ParseEncKDCRep(plain)
	switch {
	case err != nil:
		return nil, fmt.Errorf("KDC %s sent a malformed reply: %w", kdc, err)
	case enc.Nonce != body.Nonce:
		return nil, fmt.Errorf("KDC %s answered another request than ours (nonce)", kdc)
	case !strings.EqualFold(rep.CName.String(), client.String()):
		return nil, fmt.Errorf("KDC %s gave a ticket to %q, not to %q", kdc, rep.CName, client)
	case !strings.EqualFold(enc.Realm, body.Realm):
		return nil, fmt.Errorf("KDC %s gave a ticket of realm %q, not of %q", kdc, enc.Realm, body.Realm)
	case rep.Type == krb5.TypeASRep && !strings.EqualFold(enc.Server.String(), body.Server.String()):
		return nil, fmt.Errorf("KDC %s gave a ticket for %q, not for %q", kdc, enc.Server, body.Server)
	}
	return &ticket{
		client:      rep.CName,
		clientRealm: rep.CRealm,
		server:      enc.Server,
		realm:       ticketRealm(enc.Server, enc.Realm),
		raw:         rep.Ticket,
		key:         enc.Key,
		end:         enc.EndTime,
		clock:       made(enc).Sub(krb5.Time(now)),
		clockKnown:  true,
	}, nil
}

// made is the KDC's clock when it made a ticket: its start time, which is not given where it is that
// of the login (RFC 4120 section 5.3).
func made(enc *krb5.EncKDCRep) time.Time {
	if enc.StartTime.IsZero() {
		return enc.AuthTime
	}
	return enc.StartTime
}

// ticketRealm is the realm whose KDCs or services read a ticket: krbtgt/B@A is read by B.
func ticketRealm(server krb5.Name, realm string) string {
	if isTGS(server) {
		return server.Parts[1]
	}
	return realm
}

func isTGS(server krb5.Name) bool { return len(server.Parts) == 2 && server.Parts[0] == "krbtgt" }
