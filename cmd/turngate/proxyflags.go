package main

import (
	"fmt"
	"os"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/proxyconnect"
)

// proxyFlags name a proxy and what we have for it. Secrets come from files or the environment, for
// arguments are seen by everybody on the machine.
type proxyFlags struct {
	Proxy              string `required:"" env:"TURNGATE_PROXY" placeholder:"URL" help:"The proxy: http://host:port or https://host:port."`
	Auth               string `default:"auto" env:"TURNGATE_AUTH" help:"Mechanisms in their order, with commas: kerberos, ntlm, negotiate-ntlm (NTLM under Negotiate), negotiate (both of them), digest, basic; none; or auto: all."`
	ProxyUser          string `env:"TURNGATE_PROXY_USER" placeholder:"USER" help:"alice, DOMAIN\\alice or alice@corp.example."`
	ProxyPasswordFile  string `placeholder:"FILE" help:"File with the password on its first line; - is standard input where it is free. Else $$TURNGATE_PROXY_PASSWORD."`
	ProxyNTHashFile    string `name:"proxy-nt-hash-file" placeholder:"FILE" help:"File with the NT hash in hexadecimal, for NTLM instead of a password."`
	Realm              string `placeholder:"REALM" help:"Kerberos realm of the user."`
	Keytab             string `placeholder:"FILE" help:"Keytab to get Kerberos tickets with."`
	CCache             string `name:"ccache" placeholder:"FILE" help:"Kerberos credential cache. Default: $$KRB5CCNAME and krb5.conf decide."`
	Krb5Conf           string `name:"krb5-conf" placeholder:"FILE" help:"Default: $$KRB5_CONFIG, then /etc/krb5.conf."`
	AllowBasicOverHTTP bool   `name:"allow-basic-over-http" help:"Let auto send the password by Basic to a proxy without TLS."`
	ProxyCA            string `name:"proxy-ca" placeholder:"FILE" help:"PEM certificates to trust for an https proxy. Default: the system's."`
}

const passwordVariable = "TURNGATE_PROXY_PASSWORD"

// dialer makes the dialer that the flags describe. Its errors are usage errors.
func (f *proxyFlags) dialer() (*proxyconnect.Dialer, error) {
	spec := credentials.Spec{
		Auth: f.Auth, User: f.ProxyUser, Password: credentials.Secret(os.Getenv(passwordVariable)),
		Realm: f.Realm, Keytab: f.Keytab, CCache: f.CCache, Krb5Conf: f.Krb5Conf, AllowBasicOverHTTP: f.AllowBasicOverHTTP,
	}
	for _, secret := range []struct {
		flag, file string
		to         *credentials.Secret
	}{
		{"--proxy-password-file", f.ProxyPasswordFile, &spec.Password},
		{"--proxy-nt-hash-file", f.ProxyNTHashFile, &spec.NTHash},
	} {
		if secret.file == "" {
			continue
		}
		var err error
		if *secret.to, err = credentials.ReadSecret(secret.file); err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", secret.flag, err)}
		}
	}
	d := &proxyconnect.Dialer{Proxy: f.Proxy}
	if err := d.Validate(); err != nil {
		return nil, usageError{fmt.Errorf("--proxy: %w", err)}
	}
	if err := spec.Apply(d); err != nil {
		return nil, usageError{fmt.Errorf("--auth: %w", err)}
	}
	var err error
	if d.TLS, err = credentials.Trust(f.ProxyCA); err != nil {
		return nil, usageError{fmt.Errorf("--proxy-ca: %w", err)}
	}
	return d, nil
}
