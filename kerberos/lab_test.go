package kerberos_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

const (
	realm    = "EXAMPLE.TEST"
	password = "pw-Alice1"
	proxySPN = "HTTP/localhost"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startKDC starts a KDC with alice and HTTP/localhost.
func startKDC(t testing.TB, etypes ...int32) *kerberostest.KDC {
	t.Helper()
	kdc := &kerberostest.KDC{Realm: realm, Etypes: etypes}
	must(t, kdc.AddUser("alice", password))
	must(t, kdc.AddService(proxySPN))
	must(t, kdc.Start())
	t.Cleanup(func() { kdc.Close() })
	return kdc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newClient(t testing.TB, c kerberos.Config) *kerberos.Client {
	t.Helper()
	client, err := kerberos.New(c)
	must(t, err)
	return client
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newAcceptor(t testing.TB, kdc *kerberostest.KDC, names ...string) *kerberostest.Acceptor {
	t.Helper()
	keytab, err := kdc.Keytab(names...)
	must(t, err)
	return &kerberostest.Acceptor{Keytab: keytab}
}

// handshake runs a whole exchange and returns whom the acceptor saw.
func handshake(ctx context.Context, client *kerberos.Client, acceptor *kerberostest.Acceptor, host string, clientBinding, proxyBinding []byte) (user string, err error) {
	e, err := client.Begin(ctx, host, clientBinding)
	if err != nil {
		return "", err
	}
	token, err := e.Next(ctx, "")
	if err != nil {
		return "", err
	}
	h := acceptor.New(proxyBinding)
	challenge, user, err := h.Accept(token)
	if err != nil {
		if _, nextErr := e.Next(ctx, challenge); nextErr == nil {
			return "", errors.New("the client went on after a refusal")
		} else {
			return "", errors.Join(err, nextErr)
		}
	}
	return user, e.Finish(h.Final())
}

func noCredential(err error) bool {
	var e interface{ NoCredential() bool }
	return errors.As(err, &e) && e.NoCredential()
}

func credentialRejected(err error) bool {
	var e interface{ CredentialRejected() bool }
	return errors.As(err, &e) && e.CredentialRejected()
}

func ticketRefused(err error) bool {
	var e interface{ TokenRefused() bool }
	return errors.As(err, &e) && e.TokenRefused()
}

// noCNAME is a DNS without aliases.
func noCNAME(_ context.Context, host string) (string, error) { return host, nil }

// noDial is a network without KDCs.
func noDial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("the network must not be used")
}
