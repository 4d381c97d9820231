package kerberos_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/krb5"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

func TestHandshakeEtypes(t *testing.T) {
	for _, etype := range krb5.Etypes() {
		t.Run(krb5.EtypeName(etype), func(t *testing.T) {
			kdc := startKDC(t, etype)
			client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
			user, err := handshake(testContext(t), client, newAcceptor(t, kdc), "localhost", nil, nil)
			if err != nil || user != "alice@"+realm {
				t.Errorf("got user %q and error %v, want alice@%s", user, err, realm)
			}
		})
	}
}

// TestSharedTickets has many connections begin at once: one login and one service ticket do for all.
func TestSharedTickets(t *testing.T) {
	kdc := startKDC(t, 18)
	acceptor := newAcceptor(t, kdc)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config(), Timeout: time.Minute})
	ctx := testContext(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if _, err := handshake(ctx, client, acceptor, "localhost", nil, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if as, tgs := kdc.Requests("AS"), kdc.Requests("TGS"); as != 2 || tgs != 1 {
		t.Errorf("got %d AS and %d TGS requests, want 2 (without and with pre-authentication) and 1", as, tgs)
	}
}

// TestSharedRejection has many connections begin at once with a wrong password, which must count once.
func TestSharedRejection(t *testing.T) {
	kdc := startKDC(t, 18)
	client := newClient(t, kerberos.Config{User: "alice", Password: "wrong", Krb5Conf: kdc.Config(), Timeout: time.Minute})
	ctx := testContext(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := client.Begin(ctx, fmt.Sprintf("proxy%d.example.test", i), nil); !credentialRejected(err) {
				t.Errorf("got %v, want a rejection", err)
			}
		})
	}
	wg.Wait()
	if got := kdc.PreauthFailures("alice"); got != 1 {
		t.Errorf("the KDC counts %d failures, want 1", got)
	}
}

// TestRefusals are those that MIT's KDC cannot be brought to in a test (see TestMITRefusals).
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name     string
		faults   kerberostest.Faults
		code     int32
		rejected bool
		want     string
	}{
		{"clock ahead", kerberostest.Faults{Skew: time.Hour}, krb5.ErrSkew, false, "the KDC's clock is 1h0m0s ahead of ours"},
		{"clock behind", kerberostest.Faults{Skew: -10 * time.Minute}, krb5.ErrSkew, false, "the KDC's clock is 10m0s behind ours"},
		{"locked", kerberostest.Faults{Revoked: []string{"alice"}}, krb5.ErrClientRevoked, true, "KDC_ERR_CLIENT_REVOKED"},
		{"expired", kerberostest.Faults{Expired: []string{"alice"}}, krb5.ErrKeyExpired, true, "Password has expired"},
		{"no common type", kerberostest.Faults{RefuseEtypes: krb5.Etypes()}, krb5.ErrEtypeUnsupported, false, "KDC_ERR_ETYPE_NOSUPP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kdc := startKDC(t, 18)
			kdc.SetFaults(tt.faults)
			client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
			_, err := client.Begin(testContext(t), "localhost", nil)
			var refusal *kerberos.KDCError
			if !errors.As(err, &refusal) || refusal.Code != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want code %d and %q", err, tt.code, tt.want)
			}
			if credentialRejected(err) != tt.rejected {
				t.Errorf("got rejected %v, want %v", credentialRejected(err), tt.rejected)
			}
			if (refusal.Offset - tt.faults.Skew).Abs() > 2*time.Second {
				t.Errorf("got offset %v, want %v", refusal.Offset, tt.faults.Skew)
			}
		})
	}
}

// TestWrongPasswordWithoutPreauth: the KDC hands a reply to anyone, and only the right password opens it.
func TestWrongPasswordWithoutPreauth(t *testing.T) {
	kdc := startKDC(t, 18)
	kdc.SetFaults(kerberostest.Faults{NoPreauth: true})
	for _, tt := range []struct {
		password string
		want     bool
	}{{password, false}, {"wrong", true}} {
		client := newClient(t, kerberos.Config{User: "alice", Password: tt.password, Krb5Conf: kdc.Config()})
		_, err := client.Begin(testContext(t), "localhost", nil)
		if credentialRejected(err) != tt.want || (err != nil) != tt.want {
			t.Errorf("password %q: got %v, want rejected %v", tt.password, err, tt.want)
		}
	}
}

// TestTicketsAreRenewed lets tickets expire.
func TestTicketsAreRenewed(t *testing.T) {
	base := time.Now()
	var after atomic.Int64 // nanoseconds
	clock := func() time.Time { return base.Add(time.Duration(after.Load())) }
	kdc := &kerberostest.KDC{Realm: realm, Etypes: []int32{18}, Now: clock}
	must(t, kdc.AddUser("alice", password))
	must(t, kdc.AddService(proxySPN))
	must(t, kdc.Start())
	t.Cleanup(func() { kdc.Close() })
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config(), Now: clock})
	acceptor := newAcceptor(t, kdc)
	acceptor.Now = clock
	for _, tt := range []struct {
		after     time.Duration
		wantLogin int
	}{{0, 1}, {9 * time.Hour, 1}, {10*time.Hour - 30*time.Second, 2}, {15 * time.Hour, 2}, {48 * time.Hour, 3}} {
		after.Store(int64(tt.after))
		if _, err := handshake(testContext(t), client, acceptor, "localhost", nil, nil); err != nil {
			t.Errorf("after %v: %v", tt.after, err)
		}
		if got := kdc.Requests("AS") / 2; got != tt.wantLogin {
			t.Errorf("after %v: %d logins, want %d", tt.after, got, tt.wantLogin)
		}
	}
}

// TestStaleServiceTicket: the proxy gets new keys; the client's next attempt has a ticket for them.
func TestStaleServiceTicket(t *testing.T) {
	kdc := startKDC(t, 18)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
	ctx := testContext(t)
	if _, err := handshake(ctx, client, newAcceptor(t, kdc), "localhost", nil, nil); err != nil {
		t.Fatal(err)
	}
	must(t, kdc.AddService(proxySPN))
	acceptor := newAcceptor(t, kdc)
	_, err := handshake(ctx, client, acceptor, "localhost", nil, nil)
	if !ticketRefused(err) || credentialRejected(err) || !strings.Contains(err.Error(), "keytab") || !strings.Contains(err.Error(), "the password is not the cause") {
		t.Errorf("old ticket: got %v, want a refused ticket and the keytab named", err)
	}
	if _, err := handshake(ctx, client, acceptor, "localhost", nil, nil); err != nil {
		t.Errorf("next attempt: got %v, want success", err)
	}
}

func TestKeytabs(t *testing.T) {
	kdc := startKDC(t)
	keytab, err := kdc.Keytab("alice")
	must(t, err)
	must(t, kdc.AddUser("bob", "pw"))
	bobs, err := kdc.Keytab("bob")
	must(t, err)
	must(t, kdc.AddUser("bob", "new password"))
	for _, tt := range []struct {
		name             string
		config           kerberos.Config
		want             string
		absent, rejected bool
	}{
		{"first principal", kerberos.Config{KeytabBytes: keytab}, "", false, false},
		{"named", kerberos.Config{User: "alice@" + realm, KeytabBytes: keytab}, "", false, false},
		{"somebody else", kerberos.Config{User: "carol", KeytabBytes: keytab}, "it has no key of carol@" + realm, true, false},
		{"stale", kerberos.Config{KeytabBytes: bobs}, "KDC_ERR_PREAUTH_FAILED", false, true},
		{"no file", kerberos.Config{Keytab: "/does/not/exist"}, "/does/not/exist", true, false},
		{"no keytab", kerberos.Config{KeytabBytes: []byte("pw")}, "not a keytab", true, false},
		{"empty", kerberos.Config{KeytabBytes: []byte{5, 2}}, "it is empty", true, false},
		{"truncated", kerberos.Config{KeytabBytes: keytab[:len(keytab)-3]}, "ends in the middle", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Krb5Conf = kdc.Config()
			_, err := newClient(t, tt.config).Begin(testContext(t), "localhost", nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if noCredential(err) != tt.absent || credentialRejected(err) != tt.rejected {
				t.Errorf("got absent %v, rejected %v, want %v, %v", noCredential(err), credentialRejected(err), tt.absent, tt.rejected)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	const conf = "[libdefaults]\n\n"
	for _, tt := range []struct {
		name   string
		config kerberos.Config
		want   string
	}{
		{"two credentials", kerberos.Config{User: "a", Password: "p", Keytab: "k"}, "give one of password, keytab and credential cache"},
		{"no user", kerberos.Config{Realm: realm, Password: "p"}, "needs a user and a realm"},
		{"no realm", kerberos.Config{User: "a", Password: "p"}, "needs a user and a realm"},
		{"two realms", kerberos.Config{User: "a@B", Realm: "C", Password: "p"}, "names another realm"},
		{"KCM", kerberos.Config{CCache: "KCM:1000"}, "KRB5CCNAME=FILE:"},
		{"KEYRING", kerberos.Config{CCache: "KEYRING:persistent:1000"}, "KRB5CCNAME=FILE:"},
		{"DIR", kerberos.Config{CCache: "DIR:/tmp/x"}, "KRB5CCNAME=FILE:"},
		{"API", kerberos.Config{CCache: "API:x"}, "KRB5CCNAME=FILE:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Krb5Conf = conf
			_, err := kerberos.New(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestSecretsStaySecret prints everything in every way.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "hunter2-secret"
	kdc := startKDC(t, 18)
	config := kerberos.Config{User: "alice", Password: secret, Krb5Conf: kdc.Config()}
	client := newClient(t, config)
	_, beginErr := client.Begin(testContext(t), "localhost", nil)
	config.KeytabBytes = []byte(secret)
	_, newErr := kerberos.New(config)
	_, keytabErr := newClient(t, kerberos.Config{KeytabBytes: []byte("\x05\x02\x00\x00\x00\x40" + secret), Krb5Conf: kdc.Config()}).Begin(testContext(t), "localhost", nil)
	for name, v := range map[string]any{"config": config, "client": client, "rejection": beginErr, "New": newErr, "keytab": keytabErr, "key": krb5.Key{Etype: 18, Value: []byte(secret)}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			got := fmt.Sprintf(format, v)
			if strings.Contains(got, secret) || strings.Contains(got, fmt.Sprint([]byte(secret))) {
				t.Errorf("%s printed with %s shows the secret: %s", name, format, got)
			}
		}
	}
}
