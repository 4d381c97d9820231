package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/proxyconnect"
)

// proxyFlags name a proxy and what we have for it. Secrets come from files or the environment, for
// arguments are seen by everybody on the machine.
type proxyFlags struct {
	Proxy              string `env:"TURNGATE_PROXY" placeholder:"URL" help:"The proxy: http://host:port or https://host:port. Default: --pac, --wpad, $$HTTPS_PROXY, $$ALL_PROXY; without any of them there is no proxy."`
	Auth               string `default:"auto" env:"TURNGATE_AUTH" help:"Mechanisms in their order, with commas: kerberos, ntlm, negotiate-ntlm (NTLM under Negotiate), negotiate (both of them), digest, basic; none; or auto: all."`
	ProxyUser          string `env:"TURNGATE_PROXY_USER" placeholder:"USER" help:"alice, DOMAIN\\alice or alice@corp.example."`
	ProxyPasswordFile  string `placeholder:"FILE" help:"File with the password on its first line; - is standard input where it is free. Else $$TURNGATE_PROXY_PASSWORD."`
	Netrc              string `placeholder:"FILE" help:"Take user and password for the proxy's host from a netrc file, where no flag or variable gives them."`
	Ask                bool   `help:"Ask on the terminal for passwords that nothing else gives."`
	ProxyNTHashFile    string `name:"proxy-nt-hash-file" placeholder:"FILE" help:"File with the NT hash in hexadecimal, for NTLM instead of a password."`
	Realm              string `placeholder:"REALM" help:"Kerberos realm of the user."`
	Keytab             string `placeholder:"FILE" help:"Keytab to get Kerberos tickets with."`
	CCache             string `name:"ccache" placeholder:"FILE" help:"Kerberos credential cache. Default: $$KRB5CCNAME and krb5.conf decide."`
	Krb5Conf           string `name:"krb5-conf" placeholder:"FILE" help:"Default: $$KRB5_CONFIG, then /etc/krb5.conf."`
	AllowBasicOverHTTP bool   `name:"allow-basic-over-http" help:"Let auto send the password by Basic to a proxy without TLS."`
	ProxyCA            string `name:"proxy-ca" placeholder:"FILE" help:"PEM certificates to trust for an https proxy. Default: the system's."`

	read  *credentials.Spec  // what the files hold, once they have been read
	host  string             // of the proxy
	found credentials.Secret // with the proxy's name, in the environment
}

const passwordVariable = "TURNGATE_PROXY_PASSWORD"

// bare makes a dialer without credentials; of a proxy that is not known yet it has what is the same for
// all. Its errors are usage errors.
func (f *proxyFlags) bare() (*proxyconnect.Dialer, error) {
	d := &proxyconnect.Dialer{Proxy: f.Proxy}
	if f.Proxy != "" {
		if err := d.Validate(); err != nil {
			return nil, usageError{fmt.Errorf("--proxy: %w", err)}
		}
	}
	var err error
	if d.TLS, err = credentials.Trust(f.ProxyCA); err != nil {
		return nil, usageError{fmt.Errorf("--proxy-ca: %w", err)}
	}
	return d, nil
}

// dialer makes the dialer that the flags describe. Its errors are usage errors.
func (f *proxyFlags) dialer(ctx context.Context) (*proxyconnect.Dialer, error) {
	d, err := f.bare()
	if err != nil {
		return nil, err
	}
	spec, err := f.spec(ctx)
	if err != nil {
		return nil, err
	}
	if err := spec.Apply(d); err != nil {
		return nil, usageError{fmt.Errorf("--auth: %w", err)}
	}
	return d, nil
}

// spec gathers what there is to prove oneself with to the proxy.
func (f *proxyFlags) spec(ctx context.Context) (credentials.Spec, error) {
	if f.read == nil {
		spec, err := f.readSpec()
		if err != nil {
			return spec, err
		}
		f.read = &spec
	}
	return f.more(ctx, *f.read)
}

// readSecrets reads for a proxy that is not known yet: a standard input can be read once. What depends
// on the proxy's name waits.
func (f *proxyFlags) readSecrets(ctx context.Context) error {
	spec, err := f.readSpec()
	if err != nil {
		return err
	}
	f.read = &spec
	if f.Netrc != "" {
		return nil
	}
	if spec, err = f.more(ctx, spec); err != nil {
		return err
	}
	f.read = &spec // so that nothing is asked twice
	if err := spec.Apply(new(proxyconnect.Dialer)); err != nil {
		return usageError{fmt.Errorf("--auth: %w", err)}
	}
	return nil
}

// readSpec takes it from the flags, their files and our own variables.
func (f *proxyFlags) readSpec() (spec credentials.Spec, err error) {
	spec = credentials.Spec{
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
		if *secret.to, err = credentials.ReadSecret(secret.file); err != nil {
			return spec, usageError{fmt.Errorf("%s: %w", secret.flag, err)}
		}
	}
	return spec, nil
}

// more looks for a password, and a user, where the flags and our own variables give none: in the
// proxy's variable, in a netrc file, at the terminal.
func (f *proxyFlags) more(ctx context.Context, spec credentials.Spec) (credentials.Spec, error) {
	if spec.Password == "" {
		spec.Password = f.found
	}
	if f.Netrc != "" && spec.Password == "" {
		user, password, err := credentials.Netrc(f.Netrc, f.host)
		if err != nil {
			return spec, usageError{fmt.Errorf("--netrc: %w", err)}
		}
		if spec.User == "" || spec.User == user {
			spec.User, spec.Password = user, password
		}
	}
	if f.Ask && spec.User != "" && spec.Password == "" && spec.NTHash == "" && spec.Keytab == "" && spec.CCache == "" {
		var err error
		spec.Password, err = ask(ctx, "password of "+spec.User+" for the proxy")
		return spec, err
	}
	return spec, nil
}

// ask is for --ask. An interruption is no wrong usage.
func ask(ctx context.Context, what string) (credentials.Secret, error) {
	secret, err := credentials.Ask(ctx, what)
	switch {
	case errors.Is(err, context.Canceled):
		err = outcome(exitVoid) // the user knows
	case err != nil:
		err = usageError{fmt.Errorf("--ask: %w", err)}
	}
	return secret, err
}
