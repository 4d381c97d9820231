package kerberostest

import (
	"slices"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// serveTGS gives a ticket to who shows a ticket granting ticket (RFC 4120 section 3.3).
func (k *KDC) serveTGS(req *krb5.KDCReq) ([]byte, error) {
	tgt, auth, err := k.checkTGT(req)
	if err != nil {
		return nil, err
	}
	server := k.find(req.Body.Server, k.Realm)
	if server == nil {
		server = k.refer(req.Body.Server)
	}
	if server == nil {
		return nil, refuse(krb5.ErrServiceUnknown, "no such service")
	}
	key, usage := tgt.Key, uint32(krb5.UsageTGSRep)
	if len(auth.Subkey.Value) > 0 {
		key, usage = auth.Subkey, krb5.UsageTGSRepSubkey
	}
	end := k.now().Add(k.lifetime())
	if tgt.EndTime.Before(end) {
		end = tgt.EndTime
	}
	grant := grant{client: tgt.CName, clientRealm: tgt.CRealm, server: server, body: &req.Body, end: end}
	return k.reply(krb5.TypeTGSRep, grant, key, 0, usage, nil)
}

// refer is the ticket granting service of the realm that has a service we do not have (RFC 6806
// section 8), or that lies on the way to another realm; nil when we know none.
func (k *KDC) refer(server krb5.Name) *principal {
	if len(server.Parts) < 2 {
		return nil
	}
	k.mu.Lock()
	realm := k.referrals[server.Parts[1]]
	k.mu.Unlock()
	if realm == "" {
		return nil
	}
	return k.find(krb5.TGS(realm), k.Realm)
}

// checkTGT verifies the AP-REQ in a TGS-REQ: the ticket, the authenticator and the checksum over the
// request.
func (k *KDC) checkTGT(req *krb5.KDCReq) (*krb5.EncTicket, *krb5.Authenticator, error) {
	i := slices.IndexFunc(req.PAData, func(pa krb5.PAData) bool { return pa.Type == krb5.PATGSReq })
	if i < 0 {
		return nil, nil, refuse(krb5.ErrGeneric, "no PA-TGS-REQ")
	}
	ap, err := krb5.ParseAPReq(req.PAData[i].Value)
	if err != nil {
		return nil, nil, err
	}
	ticket, err := krb5.ParseTicket(ap.Ticket)
	if err != nil {
		return nil, nil, err
	}
	tgs := k.find(krb5.TGS(k.Realm), ticket.Realm)
	if tgs == nil || !ticket.Server.Equal(tgs.name) {
		return nil, nil, refuse(krb5.ErrNoKey, "not a ticket for this service")
	}
	key, ok := tgs.key(ticket.Enc.Etype)
	if !ok {
		return nil, nil, refuse(krb5.ErrNoKey, "no key of this type")
	}
	enc, auth, err := openAPReq(ap, ticket, key, krb5.UsageTGSAuthenticator)
	switch {
	case err != nil:
		return nil, nil, err
	case !enc.EndTime.After(k.now()):
		return nil, nil, refuse(krb5.ErrTicketExpired, "ticket granting ticket")
	case auth.Time.Sub(k.now()).Abs() > maxSkew:
		return nil, nil, refuse(krb5.ErrSkew, "authenticator")
	case !krb5.VerifySum(enc.Key, krb5.UsageTGSChecksum, req.RawBody, auth.Checksum):
		return nil, nil, refuse(krb5.ErrModified, "checksum of the request")
	}
	return enc, auth, nil
}

// openAPReq decrypts a ticket and the authenticator that came with it, and checks that they are of
// the same client (RFC 4120 section 3.2.3).
func openAPReq(ap *krb5.APReq, ticket *krb5.Ticket, key krb5.Key, usage uint32) (*krb5.EncTicket, *krb5.Authenticator, error) {
	plain, err := krb5.Decrypt(key, krb5.UsageTicket, ticket.Enc)
	if err != nil {
		return nil, nil, refuse(krb5.ErrModified, "the ticket does not open with the key of %s@%s", ticket.Server, ticket.Realm)
	}
	enc, err := krb5.ParseEncTicket(plain)
	if err != nil {
		return nil, nil, err
	}
	if plain, err = krb5.Decrypt(enc.Key, usage, ap.Authenticator); err != nil {
		return nil, nil, refuse(krb5.ErrBadIntegrity, "the authenticator does not open with the session key")
	}
	auth, err := krb5.ParseAuthenticator(plain)
	if err != nil {
		return nil, nil, err
	}
	if !auth.CName.Equal(enc.CName) || auth.CRealm != enc.CRealm {
		return nil, nil, refuse(krb5.ErrBadMatch, "the authenticator is of %s@%s, the ticket of %s@%s", auth.CName, auth.CRealm, enc.CName, enc.CRealm)
	}
	return enc, auth, nil
}

// A grant is what a ticket says.
type grant struct {
	client      krb5.Name
	clientRealm string
	server      *principal
	body        *krb5.KDCReqBody
	end         time.Time
	initial     bool
}

// reply makes a ticket and the reply around it, encrypted with key.
func (k *KDC) reply(kind int, g grant, key krb5.Key, kvno int, usage uint32, padata []krb5.PAData) ([]byte, error) {
	session, err := k.sessionKey(g)
	if err != nil {
		return nil, err
	}
	now := krb5.Time(k.now())
	flags := krb5.NewFlags(krb5.FlagPreauthent)
	if g.initial {
		flags = krb5.NewFlags(krb5.FlagInitial, krb5.FlagPreauthent)
	}
	ticket, err := k.makeTicket(g, session, flags, now)
	if err != nil {
		return nil, err
	}
	part := &krb5.EncKDCRep{
		Key:       session,
		LastReqs:  []krb5.LastReq{{Type: 0, Value: now}},
		Nonce:     g.body.Nonce,
		Flags:     flags,
		AuthTime:  now,
		StartTime: now,
		EndTime:   krb5.Time(g.end),
		Realm:     k.Realm,
		Server:    g.server.name,
	}
	plain, err := part.Marshal(kind)
	if err != nil {
		return nil, err
	}
	enc, err := krb5.Encrypt(key, usage, plain)
	if err != nil {
		return nil, err
	}
	enc.KVNO = kvno
	return (&krb5.KDCRep{Type: kind, PAData: padata, CRealm: g.clientRealm, CName: g.client, Ticket: ticket, Enc: enc}).Marshal()
}

// sessionKey is of the client's most preferred type that the service can do, too.
func (k *KDC) sessionKey(g grant) (krb5.Key, error) {
	key, ok := firstKey(g.server, g.body.Etypes)
	if !ok {
		return key, refuse(krb5.ErrEtypeUnsupported, "no type in common with the service")
	}
	return krb5.NewKey(key.Etype)
}

func (k *KDC) makeTicket(g grant, session krb5.Key, flags krb5.Flags, now time.Time) ([]byte, error) {
	part := &krb5.EncTicket{
		Flags:     flags,
		Key:       session,
		CRealm:    g.clientRealm,
		CName:     g.client,
		AuthTime:  now,
		StartTime: now,
		EndTime:   krb5.Time(g.end),
	}
	if pad := k.wrong().TicketPad; pad > 0 {
		inner, err := krb5.Encode([]krb5.TypedData{{Type: 0x7f00, Data: make([]byte, pad)}})
		if err != nil {
			return nil, err
		}
		part.AuthData = []krb5.TypedData{{Type: adIfRelevant, Data: inner}}
	}
	plain, err := part.Marshal()
	if err != nil {
		return nil, err
	}
	if len(g.server.keys) == 0 {
		return nil, refuse(krb5.ErrEtypeUnsupported, "the service has no key")
	}
	enc, err := krb5.Encrypt(g.server.keys[0], krb5.UsageTicket, plain) // the strongest
	if err != nil {
		return nil, err
	}
	enc.KVNO = int(g.server.kvno)
	return (&krb5.Ticket{Version: krb5.Version, Realm: k.Realm, Server: g.server.name, Enc: enc}).Marshal()
}

// adIfRelevant holds authorization data that a service may ignore (RFC 4120 section 5.2.6.1).
const adIfRelevant = 1
