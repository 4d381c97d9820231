package kerberos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

const maxCCache = 16 << 20

// A ccacheSource takes tickets from a credential cache file, which it reads whenever it is asked.
type ccacheSource struct {
	path        string
	user, realm string // what the configuration says, "" for whoever it is
	now         func() time.Time
}

func (s *ccacheSource) load() (*krb5.CCache, error) {
	b, err := readSmallFile(s.path, maxCCache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent(fmt.Errorf("no kerberos ticket: there is no credential cache %s (run kinit)", s.path))
	}
	if err != nil {
		return nil, absent(fmt.Errorf("no kerberos ticket: credential cache: %w", err))
	}
	cache, err := krb5.ParseCCache(b)
	if err != nil {
		return nil, absent(fmt.Errorf("no kerberos ticket: credential cache %s: %w", s.path, err))
	}
	if s.user != "" && s.user != cache.Client.String() || s.realm != "" && s.realm != cache.Realm {
		return nil, absent(fmt.Errorf("no kerberos ticket: credential cache %s is of %s@%s, not of %s@%s", s.path, cache.Client, cache.Realm, s.user, s.realm))
	}
	return cache, nil
}

// tgt returns the ticket granting ticket of the client's realm.
func (s *ccacheSource) tgt(context.Context, *Client) (*ticket, error) {
	cache, err := s.load()
	if err != nil {
		return nil, err
	}
	cred := s.newest(cache, krb5.TGS(cache.Realm), "")
	if cred == nil {
		return nil, absent(fmt.Errorf("no kerberos ticket: credential cache %s has no ticket granting ticket of %s@%s (run kinit)", s.path, cache.Client, cache.Realm))
	}
	if !cred.End.After(s.now()) {
		return nil, absent(fmt.Errorf("the kerberos ticket of %s@%s in %s expired at %s (run kinit)", cache.Client, cache.Realm, s.path, cred.End.Format(time.RFC3339)))
	}
	return fromCCache(cred, cache), nil
}

// service returns a ticket that is in the cache and has not expired.
func (s *ccacheSource) service(spn krb5.Name, realm string) (*ticket, error) {
	cache, err := s.load()
	if err != nil {
		return nil, err
	}
	cred := s.newest(cache, spn, realm)
	if cred == nil || !cred.End.After(s.now()) {
		return nil, nil
	}
	return fromCCache(cred, cache), nil
}

// newest returns the ticket for a server that ends last. Tickets that came by referral are stored
// without a realm, and those of a realm we do not know have any.
func (s *ccacheSource) newest(cache *krb5.CCache, server krb5.Name, realm string) (found *krb5.Credential) {
	for i := range cache.Creds {
		cred := &cache.Creds[i]
		if !cred.Server.Equal(server) || realm != "" && cred.ServerRealm != "" && cred.ServerRealm != realm {
			continue
		}
		if cred.Flags&(1<<(31-krb5.FlagInvalid)) == 0 && (found == nil || cred.End.After(found.End)) {
			found = cred
		}
	}
	return found
}

func fromCCache(cred *krb5.Credential, cache *krb5.CCache) *ticket {
	return &ticket{
		client:      cache.Client,
		clientRealm: cache.Realm,
		server:      cred.Server,
		realm:       ticketRealm(cred.Server, cred.ServerRealm),
		raw:         cred.Ticket,
		key:         cred.Key,
		end:         cred.End,
	}
}
