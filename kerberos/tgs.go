package kerberos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// maxHops bounds the realms that referrals lead through.
const maxHops = 10

// homeTGT returns the ticket granting ticket of our own realm.
func (c *Client) homeTGT(ctx context.Context) (*ticket, error) {
	return c.tickets.get(ctx, "tgt", c.config.Now(), func(ctx context.Context) (*ticket, error) {
		return c.source.tgt(ctx, c)
	})
}

// fetchService gets a ticket for a service from the KDCs. realm is the service's realm as far as it
// is known; when it is "", our own KDC refers us to it (RFC 6806 section 8).
func (c *Client) fetchService(ctx context.Context, spn krb5.Name, realm string) (*ticket, error) {
	tgt, err := c.homeTGT(ctx)
	if err != nil {
		return nil, err
	}
	home := tgt
	if realm != "" && realm != tgt.realm {
		if tgt, err = c.walk(ctx, tgt, krb5.TGS(realm)); isUnknownService(err) {
			tgt = home // no path of trust by that name: let our KDC say where the service is
		} else if err != nil {
			return nil, err
		}
	}
	return c.walk(ctx, tgt, spn)
}

// walk asks for a ticket, follows the ticket granting tickets that come instead (RFC 4120 section
// 1.2, RFC 6806 section 8) from realm to realm, and returns the ticket asked for.
func (c *Client) walk(ctx context.Context, tgt *ticket, server krb5.Name) (*ticket, error) {
	visited := []string{tgt.realm}
	for {
		t, err := c.askTGS(ctx, tgt, server)
		if err != nil {
			return nil, err
		}
		if t.server.Equal(server) || !isTGS(t.server) {
			return t, nil
		}
		for _, realm := range visited {
			if realm == t.realm {
				return nil, fmt.Errorf("the realms %s refer in a circle for %s", strings.Join(append(visited, t.realm), ", "), server)
			}
		}
		if visited = append(visited, t.realm); len(visited) > maxHops {
			return nil, fmt.Errorf("more than %d realms on the way to %s: %s", maxHops, server, strings.Join(visited, ", "))
		}
		tgt = t
	}
}

// askTGS makes one exchange with a ticket granting server (RFC 4120 section 3.3).
func (c *Client) askTGS(ctx context.Context, tgt *ticket, server krb5.Name) (*ticket, error) {
	body := &krb5.KDCReqBody{
		Options: krb5.NewFlags(krb5.OptCanonicalize), // asks for referrals
		Realm:   tgt.realm,
		Server:  server,
		Till:    krb5.Time(tgt.end),
		Nonce:   nonce(),
		Etypes:  c.conf.tgEtypes(),
	}
	request, err := c.tgsRequest(tgt, body)
	if err != nil {
		return nil, err
	}
	reply, kdc, err := c.ask(ctx, tgt.realm, request)
	if err != nil {
		return nil, withoutKDC(fmt.Errorf("asking for a ticket for %s: %w", server, err))
	}
	return c.readTGSReply(tgt, body, kdc, reply)
}

func (c *Client) tgsRequest(tgt *ticket, body *krb5.KDCReqBody) ([]byte, error) {
	raw, err := krb5.Encode(*body)
	if err != nil {
		return nil, err
	}
	sum, err := krb5.Sum(tgt.key, krb5.UsageTGSChecksum, raw)
	if err != nil {
		return nil, err
	}
	ap, _, err := c.apReq(tgt, sum, krb5.UsageTGSAuthenticator, krb5.NewFlags())
	if err != nil {
		return nil, err
	}
	return (&krb5.KDCReq{
		Type:    krb5.TypeTGSReq,
		PAData:  []krb5.PAData{{Type: krb5.PATGSReq, Value: ap}},
		RawBody: raw,
	}).Marshal()
}

// apReq shows a ticket and proves with an authenticator that we have its key (RFC 4120 section
// 3.2.2). The authenticator names the realm of the client, not that of the ticket: in a foreign
// realm they differ.
func (c *Client) apReq(t *ticket, sum krb5.Checksum, usage uint32, options krb5.Flags) ([]byte, *krb5.Authenticator, error) {
	now := c.stamp()
	a := &krb5.Authenticator{
		Version:  krb5.Version,
		CRealm:   t.clientRealm,
		CName:    t.client,
		Checksum: sum,
		Usec:     krb5.Usec(now),
		Time:     krb5.Time(now),
		Seq:      int64(nonce() & 0x3fffffff), // some decoders take it as signed
	}
	plain, err := a.Marshal()
	if err != nil {
		return nil, nil, err
	}
	enc, err := krb5.Encrypt(t.key, usage, plain)
	if err != nil {
		return nil, nil, err
	}
	b, err := (&krb5.APReq{Options: options, Ticket: t.raw, Authenticator: enc}).Marshal()
	return b, a, err
}

func (c *Client) readTGSReply(tgt *ticket, body *krb5.KDCReqBody, kdc endpoint, reply []byte) (*ticket, error) {
	if krb5.Kind(reply) == krb5.TypeError {
		m, err := krb5.ParseError(reply)
		if err != nil {
			return nil, fmt.Errorf("KDC %s of %s sent a malformed error: %w", kdc, tgt.realm, err)
		}
		return nil, c.tgsRefusal(tgt, body, newKDCError(m, kdc.String(), c.config.Now()))
	}
	rep, err := krb5.ParseKDCRep(reply, krb5.TypeTGSRep)
	if err != nil {
		return nil, fmt.Errorf("KDC %s of %s sent a malformed reply: %w", kdc, tgt.realm, err)
	}
	plain, err := krb5.Decrypt(tgt.key, krb5.UsageTGSRep, rep.Enc)
	if err != nil {
		return nil, fmt.Errorf("the reply of KDC %s of %s does not open with the session key: %w", kdc, tgt.realm, err)
	}
	return openRep(rep, plain, body, tgt.client, kdc, c.config.Now())
}

func (c *Client) tgsRefusal(tgt *ticket, body *krb5.KDCReqBody, refusal *KDCError) error {
	refusal.Realm = tgt.realm
	refusal.Principal = tgt.client.String() + "@" + tgt.clientRealm
	refusal.Service = body.Server.String()
	switch refusal.Code {
	case krb5.ErrTicketExpired:
		c.tickets.drop(tgt)
		return absent(refusal)
	case krb5.ErrTGTRevoked, krb5.ErrBadIntegrity, krb5.ErrBadKeyVersion, krb5.ErrNoKey:
		c.tickets.drop(tgt) // of no use any more: the next Begin gets another one
	}
	return refusal
}

// isUnknownService tells whether a KDC does not know a service.
func isUnknownService(err error) bool {
	var refusal *KDCError
	return errors.As(err, &refusal) && refusal.Code == krb5.ErrServiceUnknown
}
