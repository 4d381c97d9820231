package kerberos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// Config says who we are and how to reach the KDCs. At most one of Password, Keytab, KeytabBytes and
// CCache is given; with none of them the tickets of the default credential cache are used:
// $KRB5CCNAME, else default_ccache_name of krb5.conf, else /tmp/krb5cc_<uid>.
type Config struct {
	// User is the principal without its realm: "alice", "host/pc.example.com". "alice@REALM" sets
	// Realm as well. With a keytab the default is the keytab's first principal; with a credential
	// cache it must be empty or agree with the cache.
	User string

	// Realm is the Kerberos realm of User, usually in capitals. Default: default_realm of krb5.conf,
	// or that of the keytab's principal.
	Realm string

	Password    string
	Keytab      string // path of a keytab file, with or without "FILE:"
	KeytabBytes []byte // the content of a keytab file

	// CCache is the path of a credential cache file, with or without "FILE:". It is read again
	// whenever a ticket is needed, so that kinit may renew it at any time.
	CCache string

	// Krb5Conf is the path of a krb5.conf file or, when it has more than one line, its text.
	// Default: $KRB5_CONFIG, else /etc/krb5.conf, which may be absent.
	Krb5Conf string

	// SPNs returns the service principals to try for a proxy, in order, instead of HTTP/<name as
	// given> (in lower case, then as it is) and HTTP/<canonical DNS name>. "HTTP/host@REALM" names the realm, too.
	SPNs func(proxyHost string) []string

	// LookupCNAME returns the canonical name of a host. It is asked only when no KDC knows the name
	// as given; reverse DNS never is. Default: net.DefaultResolver.LookupCNAME.
	LookupCNAME func(ctx context.Context, host string) (string, error)

	// LookupSRV finds the KDCs of a realm that krb5.conf does not list. Default:
	// net.DefaultResolver.LookupSRV.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

	// Dial connects to a KDC over "tcp" or "udp". Default: net.Dialer.DialContext.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Now is the clock of the messages. Default: time.Now.
	Now func() time.Time

	// Timeout is the longest wait for one KDC, over both transports. Default: 5 s.
	Timeout time.Duration
}

// String names the principal and the kind of credential, never a secret.
func (c Config) String() string {
	return fmt.Sprintf("kerberos %s of %s@%s", c.kind(), c.User, c.Realm)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

func (c Config) kind() string {
	switch {
	case c.Password != "":
		return "password"
	case c.Keytab != "" || c.KeytabBytes != nil:
		return "keytab"
	}
	return "ticket"
}

// New checks the configuration and reads krb5.conf. It talks to nobody and reads no credential yet.
func New(config Config) (*Client, error) {
	conf, err := loadKrb5Conf(config.Krb5Conf)
	if err != nil {
		return nil, err
	}
	if user, realm, ok := cutLast(config.User, "@"); ok {
		if config.Realm != "" && config.Realm != realm {
			return nil, fmt.Errorf("user %q names another realm than %q", config.User, config.Realm)
		}
		config.User, config.Realm = user, realm
	}
	c := &Client{config: config.withDefaults(), conf: conf, tickets: newCache(), sticky: map[string]endpoint{}}
	c.source, err = newSource(c.config, conf)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (c Config) withDefaults() Config {
	if c.LookupCNAME == nil {
		c.LookupCNAME = net.DefaultResolver.LookupCNAME
	}
	if c.LookupSRV == nil {
		c.LookupSRV = net.DefaultResolver.LookupSRV
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	return c
}

// newSource chooses where our tickets come from. A realm is required where we log in by ourselves.
func newSource(c Config, conf *krb5Conf) (source, error) {
	given := 0
	for _, is := range []bool{c.Password != "", c.Keytab != "", c.KeytabBytes != nil, c.CCache != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("kerberos: give one of password, keytab and credential cache")
	}
	realm := c.Realm
	if realm == "" {
		realm = conf.defaultRealm
	}
	switch c.kind() {
	case "password":
		if c.User == "" || realm == "" {
			return nil, errors.New("kerberos: a password needs a user and a realm (there is no default_realm in krb5.conf)")
		}
		return &login{krb5.ParseName(krb5.NTPrincipal, c.User), realm, passwordSecret(c.Password)}, nil
	case "keytab":
		return &keytabLogin{config: c, defaultRealm: realm}, nil
	}
	path, err := ccachePath(c.CCache, conf)
	if err != nil {
		return nil, err
	}
	return &ccacheSource{path: path, user: c.User, realm: c.Realm, now: c.Now}, nil
}

// ccachePath finds the credential cache file. Only files are read: the other kinds need the daemon
// or the kernel keyring of the machine, or hold several caches.
func ccachePath(name string, conf *krb5Conf) (string, error) {
	if name == "" {
		name = os.Getenv("KRB5CCNAME")
	}
	if name == "" {
		name = conf.defaultCCache
	}
	if name == "" {
		name = "/tmp/krb5cc_%{uid}"
	}
	name = strings.NewReplacer("%{uid}", fmt.Sprint(os.Getuid()), "%{euid}", fmt.Sprint(os.Geteuid()), "%{USERID}", fmt.Sprint(os.Getuid())).Replace(name)
	kind, path, ok := strings.Cut(name, ":")
	switch {
	case !ok:
		return name, nil
	case kind == "FILE":
		return path, nil
	}
	return "", absent(fmt.Errorf("credential cache %q is of a kind that is not supported (%s): run kinit with KRB5CCNAME=FILE:/path and give that file", name, kind))
}
