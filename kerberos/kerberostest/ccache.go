package kerberostest

import (
	"fmt"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// CCache returns a credential cache file with a ticket granting ticket for a user, as kinit would
// have written it; the ticket was given an hour and lifetime ago and ended an hour ago if lifetime is
// negative, else it ends after lifetime.
func (k *KDC) CCache(user string, lifetime time.Duration) ([]byte, error) {
	name := krb5.ParseName(krb5.NTPrincipal, user)
	tgs := krb5.Name{Type: krb5.NTSrvInst, Parts: []string{"krbtgt", k.Realm}}
	client, server := k.find(name, k.Realm), k.find(tgs, k.Realm)
	if client == nil || server == nil {
		return nil, fmt.Errorf("a credential cache of %s@%s: no such user, or the KDC was not started", user, k.Realm)
	}
	session, err := krb5.NewKey(k.etypes()[0])
	if err != nil {
		return nil, err
	}
	start := krb5.Time(k.now())
	end := start.Add(lifetime)
	if lifetime < 0 {
		end = start.Add(-time.Hour)
		start = end.Add(lifetime)
	}
	flags := krb5.NewFlags(krb5.FlagInitial, krb5.FlagPreauthent)
	g := grant{client: name, clientRealm: k.Realm, server: server, end: end, initial: true}
	ticket, err := k.makeTicket(g, session, flags, start)
	if err != nil {
		return nil, err
	}
	cache := krb5.CCache{Client: name, Realm: k.Realm, Creds: []krb5.Credential{{
		Client: name, ClientRealm: k.Realm, Server: tgs, ServerRealm: k.Realm,
		Key: session, Start: start, End: end, Ticket: ticket,
	}}}
	return cache.Marshal(), nil
}
