package kerberos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A source is where the ticket granting ticket comes from.
type source interface {
	// tgt returns the ticket granting ticket of our own realm.
	tgt(ctx context.Context, c *Client) (*ticket, error)

	// service returns a ticket for a service that the source has already, nil when it has none.
	service(spn krb5.Name, realm string) (*ticket, error)
}

// A secret makes the long-term key of a principal.
type secret interface {
	// key returns the key of an encryption type; the salt and parameters are those the KDC told.
	key(etype int32, salt string, params []byte) (krb5.Key, error)

	// etypes are the types there can be a key of; nil is any.
	etypes() []int32

	// kind is "password" or "keytab", for errors.
	kind() string
}

// A passwordSecret never shows itself.
type passwordSecret string

func (passwordSecret) String() string   { return "password" }
func (passwordSecret) GoString() string { return "password" }
func (passwordSecret) kind() string     { return "password" }
func (passwordSecret) etypes() []int32  { return nil }

func (p passwordSecret) key(etype int32, salt string, params []byte) (krb5.Key, error) {
	return krb5.StringToKey(etype, string(p), salt, params)
}

// A keytabSecret is a principal's keys in a keytab.
type keytabSecret struct {
	keytab krb5.Keytab
	name   krb5.Name
	realm  string
}

func (keytabSecret) kind() string { return "keytab" }

func (k keytabSecret) etypes() (ids []int32) {
	for _, id := range krb5.Etypes() {
		if _, ok := k.keytab.Find(k.name, k.realm, 0, id); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func (k keytabSecret) key(etype int32, _ string, _ []byte) (krb5.Key, error) {
	entry, ok := k.keytab.Find(k.name, k.realm, 0, etype)
	if !ok {
		return krb5.Key{}, fmt.Errorf("the keytab has no %s key of %s@%s", krb5.EtypeName(etype), k.name, k.realm)
	}
	return entry.Key, nil
}

// A login is a principal that proves itself to the KDC with a long-term key.
type login struct {
	name   krb5.Name
	realm  string
	secret secret
}

func (l *login) tgt(ctx context.Context, c *Client) (*ticket, error) { return c.login(ctx, l) }

func (*login) service(krb5.Name, string) (*ticket, error) { return nil, nil }

// A keytabLogin reads the keytab at every login, as it may be renewed at any time.
type keytabLogin struct {
	config       Config
	defaultRealm string
}

const maxKeytab = 16 << 20

func (*keytabLogin) service(krb5.Name, string) (*ticket, error) { return nil, nil }

func (k *keytabLogin) tgt(ctx context.Context, c *Client) (*ticket, error) {
	l, err := k.load()
	if err != nil {
		return nil, absent(err)
	}
	return c.login(ctx, l)
}

func (k *keytabLogin) load() (*login, error) {
	b, where := k.config.KeytabBytes, "keytab"
	if k.config.Keytab != "" {
		path := strings.TrimPrefix(k.config.Keytab, "FILE:")
		var err error
		if b, err = readSmallFile(path, maxKeytab); err != nil {
			return nil, fmt.Errorf("keytab: %w", err)
		}
		where = "keytab " + path
	}
	keytab, err := krb5.ParseKeytab(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	name, realm, err := k.principal(keytab)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return &login{name, realm, keytabSecret{keytab, name, realm}}, nil
}

func (k *keytabLogin) principal(keytab krb5.Keytab) (name krb5.Name, realm string, err error) {
	if len(keytab) == 0 {
		return name, "", errors.New("it is empty")
	}
	if k.config.User == "" {
		return keytab[0].Name, keytab[0].Realm, nil
	}
	name, realm = krb5.ParseName(krb5.NTPrincipal, k.config.User), k.defaultRealm
	if !keytab.Holds(name, realm) {
		return name, realm, fmt.Errorf("it has no key of %s@%s", name, realm)
	}
	return name, realm, nil
}
