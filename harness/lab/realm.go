package lab

import (
	"errors"
	"os"
	"path/filepath"
	"time"

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
	if err := writeExpired(l, kdc); err != nil {
		return nil, err
	}
	return &realm{kdc: kdc, acceptor: &kerberostest.Acceptor{Keytab: keytab}, user: l.User.Name}, nil
}

// writeExpired writes a credential cache whose ticket has expired, in a directory that goes with the
// lab.
func writeExpired(l *Lab, kdc *kerberostest.KDC) error {
	cache, err := kdc.CCache(l.User.Name, -time.Hour)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "turngate-lab-")
	if err != nil {
		return err
	}
	l.onClose(func() error { return os.RemoveAll(dir) })
	l.ExpiredCCache = filepath.Join(dir, "expired")
	return os.WriteFile(l.ExpiredCCache, cache, 0o600)
}

func (r *realm) failures() int { return r.kdc.PreauthFailures(r.user) }

func (r *realm) scheme() testproxy.Scheme {
	return testproxy.Scheme{
		Name: "Negotiate", ConnectionBound: true,
		New: func(c testproxy.ConnInfo) testproxy.Handshake { return r.acceptor.New(c.ChannelBinding) },
	}
}
