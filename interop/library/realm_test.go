package library

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// A realmWithProxy is a Kerberos realm that hands out keytabs to its users, as the lab's does not,
// and a proxy that takes its tickets.
type realmWithProxy struct {
	kdc      *kerberostest.KDC
	proxy    *testproxy.Proxy
	dir      string
	krb5Conf string // path
	keytab   string // path; of alice
}

var realm *realmWithProxy

func newRealm() (*realmWithProxy, error) {
	dir, err := os.MkdirTemp("", "library")
	if err != nil {
		return nil, err
	}
	r := &realmWithProxy{
		kdc: &kerberostest.KDC{Realm: "CORP.EXAMPLE"}, proxy: &testproxy.Proxy{Host: "localhost"},
		dir: dir, krb5Conf: filepath.Join(dir, "krb5.conf"), keytab: filepath.Join(dir, "alice.keytab"),
	}
	if err := r.start(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *realmWithProxy) start() error {
	if err := errors.Join(r.kdc.AddUser("alice", "her-password"), r.kdc.AddService("HTTP/localhost"), r.kdc.Start()); err != nil {
		return err
	}
	user, err := r.kdc.Keytab("alice")
	if err != nil {
		return err
	}
	service, err := r.kdc.Keytab("HTTP/localhost")
	if err != nil {
		return err
	}
	acceptor := &kerberostest.Acceptor{Keytab: service}
	r.proxy.Schemes = []testproxy.Scheme{{
		Name: "Negotiate", ConnectionBound: true,
		New: func(c testproxy.ConnInfo) testproxy.Handshake { return acceptor.New(c.ChannelBinding) },
	}}
	return errors.Join(
		os.WriteFile(r.keytab, user, 0o600),
		os.WriteFile(r.krb5Conf, []byte(r.kdc.Config()), 0o600),
		r.proxy.Start(),
	)
}

func (r *realmWithProxy) close() error {
	return errors.Join(r.proxy.Close(), r.kdc.Close(), os.RemoveAll(r.dir))
}
