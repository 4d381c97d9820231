// Package credentials makes mechanisms of what a user has: a password, a hash, a keytab, a ticket.
// It is the one place that knows all mechanisms.
package credentials

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
)

// A Spec is what a user has and wishes. The zero value is Auth "auto" with the tickets of the
// default credential cache. It may be printed: it shows no secret.
type Spec struct {
	// Auth names the mechanisms in their order, with commas: kerberos, ntlm, negotiate-ntlm (NTLM
	// under the scheme Negotiate), negotiate (kerberos, then negotiate-ntlm), digest, basic; none;
	// or auto, the default: kerberos, ntlm, negotiate-ntlm, digest, basic.
	Auth string

	User     string // "alice", `CORP\alice` or "alice@corp.example"
	Password Secret
	NTHash   Secret // for NTLM instead of Password: 32 hex digits

	Realm    string // Kerberos; default: what follows User's @, in capitals, or default_realm of krb5.conf
	Keytab   string // path; Kerberos logs in with it instead of with Password
	CCache   string // path; Kerberos uses its tickets instead of logging in
	Krb5Conf string // path or text; default $KRB5_CONFIG, then /etc/krb5.conf

	// AllowBasicOverHTTP lets "auto" send a password by Basic over a connection that is not
	// encrypted. Naming basic in Auth allows it, too.
	AllowBasicOverHTTP bool
}

const auto = "kerberos,ntlm,negotiate-ntlm,digest,basic"

// Names are the words that Spec.Auth is made of.
var Names = []string{"auto", "none", "basic", "digest", "ntlm", "negotiate", "negotiate-ntlm", "kerberos"}

// Apply checks the Spec and sets the Mechanisms and AllowBasicOverHTTP of a dialer by it.
func (s Spec) Apply(d *proxyconnect.Dialer) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	d.Mechanisms = nil
	d.AllowBasicOverHTTP = s.AllowBasicOverHTTP
	for _, name := range names {
		m, err := s.mechanism(name)
		if err != nil {
			return fmt.Errorf("authentication %s: %w", name, err)
		}
		d.Mechanisms = append(d.Mechanisms, m)
		if name == "basic" && !s.automatic() {
			d.AllowBasicOverHTTP = true
		}
	}
	return nil
}

func (s Spec) automatic() bool { return s.Auth == "" || strings.EqualFold(s.Auth, "auto") }

// names spells Auth out.
func (s Spec) names() (names []string, err error) {
	text := strings.ToLower(s.Auth)
	if s.automatic() {
		text = auto
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "none" && text == "none":
			return nil, nil
		case name == "negotiate":
			names = append(names, "kerberos", "negotiate-ntlm")
		case name == "none" || name == "auto" || !slices.Contains(Names, name):
			return nil, fmt.Errorf("authentication %q: want %s, or several of the last with commas", s.Auth, strings.Join(Names, ", "))
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

func (s Spec) mechanism(name string) (proxyconnect.Mechanism, error) {
	switch name {
	case "kerberos":
		return s.kerberos()
	case "ntlm":
		return s.ntlm("NTLM", "NTLM")
	case "negotiate-ntlm":
		return s.ntlm("Negotiate", "NTLM in Negotiate")
	case "digest":
		return s.needsPassword(proxyconnect.Digest(s.User, string(s.Password)))
	}
	return s.needsPassword(proxyconnect.Basic(s.User, string(s.Password)))
}

// needsPassword lets a mechanism give way where there is no password, instead of sending none.
func (s Spec) needsPassword(m proxyconnect.Mechanism) (proxyconnect.Mechanism, error) {
	m.Credential = s.passwordName()
	if s.User != "" && s.Password != "" {
		return m, nil
	}
	if !s.automatic() {
		return m, errors.New("needs a user and a password")
	}
	return absent(m, errors.New("no user and password were given")), nil
}

// passwordName names the credential that all mechanisms share that use the same password, so that one
// rejection ends them all.
func (s Spec) passwordName() string { return proxyconnect.PasswordCredential(s.User) }

func (s Spec) ntlm(scheme, name string) (proxyconnect.Mechanism, error) {
	m := proxyconnect.Mechanism{Scheme: scheme, Name: name, Credential: s.passwordName()}
	client := &ntlm.Client{User: s.User, Password: string(s.Password)}
	if s.NTHash != "" {
		hash, err := hex.DecodeString(string(s.NTHash))
		if err != nil || len(hash) != 16 {
			return m, errors.New("the NT hash must be 32 hexadecimal digits")
		}
		client.NTHash = hash
	}
	if !s.automatic() && (s.User == "" || s.Password == "" && s.NTHash == "") {
		return m, errors.New("needs a user and a password or NT hash")
	}
	m.Begin = func(_ context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
		return client.Begin(r.ProxyHost, r.TLSServerEndPoint())
	}
	return m, nil
}

func (s Spec) kerberos() (proxyconnect.Mechanism, error) {
	m := proxyconnect.Mechanism{Scheme: "Negotiate", Name: "Kerberos", Credential: s.passwordName()}
	config := s.kerberosConfig()
	if config.Password == "" {
		m.Credential = "Kerberos ticket"
	}
	client, err := kerberos.New(config)
	if err != nil {
		if s.automatic() {
			return absent(m, err), nil
		}
		return m, err
	}
	m.Begin = func(ctx context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
		return client.Begin(ctx, r.ProxyHost, r.TLSServerEndPoint())
	}
	return m, nil
}

// kerberosConfig prefers, of several things a user may have, the one made for Kerberos.
func (s Spec) kerberosConfig() kerberos.Config {
	c := kerberos.Config{User: s.User, Realm: s.Realm, Krb5Conf: s.Krb5Conf}
	if _, user, ok := strings.Cut(s.User, `\`); ok {
		c.User = user // the domain of DOMAIN\user is a NetBIOS name and no realm
	}
	if user, suffix, ok := strings.Cut(c.User, "@"); ok {
		c.User = user
		if c.Realm == "" {
			c.Realm = strings.ToUpper(suffix)
		}
	}
	switch {
	case s.CCache != "":
		c.CCache, c.User, c.Realm = s.CCache, "", ""
	case s.Keytab != "":
		c.Keytab = s.Keytab
	case s.Password != "":
		c.Password = string(s.Password)
	default:
		c.User, c.Realm = "", ""
	}
	return c
}

// absent is a mechanism that has nothing to prove itself with, and says why.
func absent(m proxyconnect.Mechanism, why error) proxyconnect.Mechanism {
	m.Begin = func(context.Context, proxyconnect.Request) (proxyconnect.Exchange, error) {
		return nil, absence{why}
	}
	return m
}

type absence struct{ error }

func (a absence) Unwrap() error    { return a.error }
func (absence) NoCredential() bool { return true }
