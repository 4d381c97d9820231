package lab

import (
	"errors"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// realm is the embedded lab's Kerberos realm: a KDC that knows the lab's user and the proxies'
// service, and the acceptor that the proxies share.
type realm struct {
	kdc      *kerberostest.KDC
	acceptor *kerberostest.Acceptor
	user     string
}

func startRealm(l *Lab) (*realm, error) {
	const service = "HTTP/" + host
	kdc := &kerberostest.KDC{Realm: l.Realm}
	if err := errors.Join(kdc.AddUser(l.User.Name, l.User.Password), kdc.AddService(service)); err != nil {
		return nil, err
	}
	keytab, err := kdc.Keytab(service)
	if err != nil {
		return nil, err
	}
	if err := kdc.Start(); err != nil {
		return nil, err
	}
	l.onClose(kdc.Close)
	l.Krb5Conf = kdc.Config()
	return &realm{kdc: kdc, acceptor: &kerberostest.Acceptor{Keytab: keytab}, user: l.User.Name}, nil
}

func (r *realm) failures() int { return r.kdc.PreauthFailures(r.user) }

func (r *realm) scheme() testproxy.Scheme {
	return testproxy.Scheme{
		Name: "Negotiate", ConnectionBound: true,
		New: func(c testproxy.ConnInfo) testproxy.Handshake { return r.acceptor.New(c.ChannelBinding) },
	}
}
