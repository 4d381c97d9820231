//go:build linux

package kerberos_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/krb5"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// TestMIT runs our client against MIT's KDC. Whether the tickets are worth anything Squid's helper
// decides, in TestSquidHelper; here it is our acceptor with the real keytab.
func TestMIT(t *testing.T) {
	k := startMIT(t, " allow_rc4 = true\n", realm) // newer KDCs make no RC4 session keys by default
	k.populate(realm)
	out, err := k.try(password+"\n", "kinit", "alice")
	if err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	keytab, err := os.ReadFile(k.path("alice.keytab"))
	must(t, err)
	service, err := os.ReadFile(k.path("http.keytab"))
	must(t, err)
	tests := []struct {
		name   string
		config kerberos.Config
		line   string // of libdefaults
	}{
		{"password", kerberos.Config{User: "alice", Password: password}, ""},
		{"password over TCP", kerberos.Config{User: "alice", Password: password}, "udp_preference_limit = 1"},
		{"password, user with realm", kerberos.Config{User: "alice@" + realm, Password: password}, ""},
		{"password, aes128", kerberos.Config{User: "alice", Password: password}, "permitted_enctypes = aes128-cts"},
		{"password, aes256-sha2", kerberos.Config{User: "alice", Password: password}, "permitted_enctypes = aes256-sha2"},
		{"password, aes128-sha2", kerberos.Config{User: "alice", Password: password}, "permitted_enctypes = aes128-sha2"},
		{"password, rc4", kerberos.Config{User: "alice", Password: password}, "permitted_enctypes = rc4-hmac"},
		{"keytab file", kerberos.Config{Keytab: "FILE:" + k.path("alice.keytab")}, ""},
		{"keytab bytes", kerberos.Config{User: "alice", KeytabBytes: keytab}, ""},
		{"ticket of kinit", kerberos.Config{CCache: "FILE:" + k.path("cc")}, ""},
		{"ticket of kinit, user given", kerberos.Config{User: "alice", Realm: realm, CCache: k.path("cc")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Krb5Conf = k.config(tt.line)
			acceptor := &kerberostest.Acceptor{Keytab: service}
			user, err := handshake(testContext(t), newClient(t, tt.config), acceptor, "localhost", nil, nil)
			if err != nil || user != "alice@"+realm {
				t.Errorf("got user %q and error %v, want alice@%s", user, err, realm)
			}
		})
	}
}

func TestMITRefusals(t *testing.T) {
	k := startMIT(t, "", realm)
	k.populate(realm)
	k.admin(realm, "addprinc -pw x -allow_tix locked")
	k.admin(realm, `addprinc -pw x -pwexpire 2001-01-01 stale`)
	tests := []struct {
		name, user, password, host string
		code                       int32
		wantRejected, wantAbsent   bool
		want                       []string
	}{
		{"wrong password", "alice", "wrong", "localhost", krb5.ErrPreauthFailed, true, false, []string{"alice@" + realm, "KDC_ERR_PREAUTH_FAILED", k.addr}},
		{"unknown user", "mallory", "x", "localhost", krb5.ErrClientUnknown, true, false, []string{"mallory@" + realm, "KDC_ERR_C_PRINCIPAL_UNKNOWN"}},
		{"locked user", "locked", "x", "localhost", krb5.ErrClientRevoked, true, false, []string{"locked@" + realm, "KDC_ERR_CLIENT_REVOKED"}},
		{"expired password", "stale", "x", "localhost", krb5.ErrKeyExpired, true, false, []string{"stale@" + realm, "KDC_ERR_KEY_EXPIRED"}},
		{"unknown service", "alice", password, "other.example.test", krb5.ErrServiceUnknown, false, true, []string{"HTTP/other.example.test", "KDC_ERR_S_PRINCIPAL_UNKNOWN", "setspn"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, kerberos.Config{User: tt.user, Password: tt.password, Krb5Conf: k.read("krb5.conf"), LookupCNAME: noCNAME})
			_, err := client.Begin(testContext(t), tt.host, nil)
			var refusal *kerberos.KDCError
			if !errors.As(err, &refusal) || refusal.Code != tt.code {
				t.Fatalf("got %v, want a KDCError of code %d", err, tt.code)
			}
			if credentialRejected(err) != tt.wantRejected || noCredential(err) != tt.wantAbsent {
				t.Errorf("got rejected %v, absent %v, want %v, %v", credentialRejected(err), noCredential(err), tt.wantRejected, tt.wantAbsent)
			}
			for _, w := range append(tt.want, refusal.Name) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if refusal.Offset.Abs() > 2*time.Second {
				t.Errorf("clock offset %v to a KDC on this machine", refusal.Offset)
			}
		})
	}
}

// TestMITOnePreauthFailure counts what a directory would count: a wrong password fails once, however
// often the client is used.
func TestMITOnePreauthFailure(t *testing.T) {
	k := startMIT(t, "", realm)
	k.populate(realm)
	client := newClient(t, kerberos.Config{User: "alice", Password: "wrong", Krb5Conf: k.read("krb5.conf")})
	for i := range 3 {
		if _, err := client.Begin(testContext(t), "localhost", nil); !credentialRejected(err) {
			t.Errorf("attempt %d: got %v, want a rejection", i+1, err)
		}
	}
	if got := k.lines("PREAUTH_FAILED", "alice@"); got != 1 {
		t.Errorf("the KDC counts %d failures, want 1\n%s", got, k.read("kdc.log"))
	}
}

// TestMITExpiredTicket has kinit get a ticket that is about to expire.
func TestMITExpiredTicket(t *testing.T) {
	k := startMIT(t, "", realm)
	k.populate(realm)
	if out, err := k.try(password+"\n", "kinit", "-l", "5m", "alice"); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	later := time.Now().Add(6 * time.Minute)
	client := newClient(t, kerberos.Config{CCache: k.path("cc"), Krb5Conf: k.read("krb5.conf"), Now: func() time.Time { return later }})
	_, err := client.Begin(testContext(t), "localhost", nil)
	if !noCredential(err) || !strings.Contains(err.Error(), "expired at 20") {
		t.Errorf("got %v, want NoCredential and the time of expiry", err)
	}
}

// TestMITServiceTicketOnly uses a cache whose service ticket outlives its ticket granting ticket's
// KDC: kvno put it there, and nobody is asked.
func TestMITServiceTicketOnly(t *testing.T) {
	k := startMIT(t, "", realm)
	k.populate(realm)
	if out, err := k.try(password+"\n", "kinit", "-S", "HTTP/localhost", "alice"); err != nil {
		t.Fatalf("kinit -S: %v\n%s", err, out)
	}
	keytab, err := os.ReadFile(k.path("http.keytab"))
	must(t, err)
	client := newClient(t, kerberos.Config{CCache: k.path("cc"), Krb5Conf: k.read("krb5.conf"), Dial: noDial})
	user, err := handshake(testContext(t), client, &kerberostest.Acceptor{Keytab: keytab}, "localhost", nil, nil)
	if err != nil || user != "alice@"+realm {
		t.Errorf("got user %q and error %v, want alice@%s", user, err, realm)
	}
	if _, err := client.Begin(testContext(t), "other.example.test", nil); !noCredential(err) {
		t.Errorf("another service: got %v, want NoCredential", err)
	}
}

// TestMITCrossRealm goes over two trusts, by the KDCs' own path: gokrb5's own client fails there with
// KRB_AP_ERR_BADMATCH.
func TestMITCrossRealm(t *testing.T) {
	const a, b, c = "A.TEST", "B.TEST", "C.TEST"
	k := startMIT(t, "[capaths]\n "+a+" = {\n  "+c+" = "+b+"\n }\n", a, b, c)
	k.admin(a, "addprinc -pw "+password+" alice")
	k.admin(c, "addprinc -randkey HTTP/localhost")
	k.admin(c, "ktadd -k "+k.path("http.keytab")+" HTTP/localhost")
	for _, trust := range []struct{ from, to string }{{a, b}, {b, c}} {
		for _, realm := range []string{trust.from, trust.to} {
			k.admin(realm, "addprinc -pw shared-"+trust.to+" krbtgt/"+trust.to+"@"+trust.from)
		}
	}
	keytab, err := os.ReadFile(k.path("http.keytab"))
	must(t, err)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: k.read("krb5.conf")})
	user, err := handshake(testContext(t), client, &kerberostest.Acceptor{Keytab: keytab}, "localhost", nil, nil)
	if err != nil || user != "alice@"+a {
		t.Errorf("got user %q and error %v, want alice@%s\n%s", user, err, a, k.read("kdc.log"))
	}
	for _, step := range [][]string{{"ISSUE", "krbtgt/B.TEST@A.TEST"}, {"ISSUE", "krbtgt/C.TEST@B.TEST"}, {"ISSUE", "HTTP/localhost@C.TEST"}} {
		if k.lines(step...) == 0 {
			t.Errorf("no KDC logged %s\n%s", step, k.read("kdc.log"))
		}
	}
}
