package kerberostest_test

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

func newClient(t testing.TB, kdc *kerberostest.KDC) *kerberos.Client {
	t.Helper()
	client, err := kerberos.New(kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
	must(t, err)
	return client
}

func newToken(t testing.TB, client *kerberos.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := client.Begin(ctx, "localhost", nil)
	must(t, err)
	token, err := e.Next(ctx, "")
	must(t, err)
	return token
}

func keytabOf(t testing.TB, kdc *kerberostest.KDC, names ...string) []byte {
	t.Helper()
	b, err := kdc.Keytab(names...)
	must(t, err)
	return b
}

// TestReplays shows many tokens from several goroutines: each is taken once, and only once.
func TestReplays(t *testing.T) {
	kdc := start(t, 18)
	acceptor := &kerberostest.Acceptor{Keytab: keytabOf(t, kdc, "HTTP/localhost")}
	client := newClient(t, kdc)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250 {
				token := newToken(t, client)
				if _, _, err := acceptor.New(nil).Accept(token); err != nil {
					t.Errorf("a fresh token is refused: %v", err)
				}
				if _, _, err := acceptor.New(nil).Accept(token); err == nil || !strings.Contains(err.Error(), "shown before") {
					t.Errorf("the same token again: got %v, want a refusal", err)
				}
			}
		})
	}
	wg.Wait()
	token := newToken(t, client)
	var accepted sync.Map
	for i := range 8 {
		wg.Go(func() {
			if _, _, err := acceptor.New(nil).Accept(token); err == nil {
				accepted.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	accepted.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one token, shown eight times at once, is taken %d times, want 1", n)
	}
}

func TestAcceptorRefuses(t *testing.T) {
	kdc := start(t, 18)
	must(t, kdc.AddService("HTTP/other"))
	right := keytabOf(t, kdc, "HTTP/localhost")
	client := newClient(t, kdc)
	at := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	fresh := func() string { return newToken(t, client) }
	spnego := func(in gss.Init) func() string {
		return func() string {
			b, err := in.Marshal()
			must(t, err)
			return base64.StdEncoding.EncodeToString(b)
		}
	}
	for _, tt := range []struct {
		name      string
		acceptor  *kerberostest.Acceptor
		token     func() string
		want      string
		challenge bool // the client is told the reason
	}{
		{"no keytab", &kerberostest.Acceptor{}, fresh, "not a keytab", false},
		{"keytab of another service", &kerberostest.Acceptor{Keytab: keytabOf(t, kdc, "HTTP/other")}, fresh, "the keytab has no HTTP/localhost@" + realm, true},
		{"clock ahead", &kerberostest.Acceptor{Keytab: right, Now: at(390 * time.Second)}, fresh, "KRB_AP_ERR_SKEW the client's clock differs by -6m", true},
		{"clock behind", &kerberostest.Acceptor{Keytab: right, Now: at(-390 * time.Second)}, fresh, "KRB_AP_ERR_SKEW the client's clock differs by 6m", true},
		{"strict clock", &kerberostest.Acceptor{Keytab: right, Now: at(10 * time.Second), Skew: 5 * time.Second}, fresh, "KRB_AP_ERR_SKEW", true},
		{"expired", &kerberostest.Acceptor{Keytab: right, Now: at(11 * time.Hour), Skew: 12 * time.Hour}, func() string { return fresh() }, "", false},
		{"nothing", &kerberostest.Acceptor{Keytab: right}, func() string { return "" }, "malformed", false},
		{"not base64", &kerberostest.Acceptor{Keytab: right}, func() string { return "%" }, "not base64", false},
		{"NTLM", &kerberostest.Acceptor{Keytab: right}, func() string { return base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00\x01")) }, "NTLM instead of Kerberos", false},
		{"empty list", &kerberostest.Acceptor{Keytab: right}, spnego(gss.Init{}), "empty list of mechanisms", false},
		{"NTLM first", &kerberostest.Acceptor{Keytab: right}, spnego(gss.Init{Mechs: []asn1.ObjectIdentifier{gss.NTLM, gss.Kerberos}}), "prefers NTLM", false},
		{"no token", &kerberostest.Acceptor{Keytab: right}, spnego(gss.Init{Mechs: []asn1.ObjectIdentifier{gss.Kerberos}}), "without a token", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.acceptor.New(nil)
			challenge, user, err := h.Accept(tt.token())
			if tt.want == "" {
				if err != nil || user != "alice@"+realm {
					t.Errorf("got %q, %v, want alice@%s", user, err, realm)
				}
				return
			}
			if err == nil || user != "" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, %v, want a refusal with %q", user, err, tt.want)
			}
			if (challenge != "") != tt.challenge || h.Final() != "" {
				t.Errorf("got challenge %q and final %q, want a challenge: %v, and no final", challenge, h.Final(), tt.challenge)
			}
		})
	}
}

// TestAcceptorExpiredTicket shows a ticket after its end, where the clocks agree.
func TestAcceptorExpiredTicket(t *testing.T) {
	kdc := start(t, 18)
	must(t, kdc.AddService("HTTP/other"))
	acceptor := &kerberostest.Acceptor{Keytab: keytabOf(t, kdc)}
	client := newClient(t, kdc)
	newToken(t, client) // has logged in now
	kdc.SetFaults(kerberostest.Faults{Lifetime: -time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := client.Begin(ctx, "other", nil)
	must(t, err)
	token, err := e.Next(ctx, "")
	must(t, err)
	if _, _, err := acceptor.New(nil).Accept(token); err == nil || !strings.Contains(err.Error(), "the ticket expired at") {
		t.Errorf("got %v, want that the ticket expired", err)
	}
}

// TestTrustChecksTheClientsRealm: a ticket from a trusted realm needs an authenticator that names the
// realm of the client, not that of the ticket. gokrb5's own client fails here over two trusts.
func TestTrustChecksTheClientsRealm(t *testing.T) {
	home := &kerberostest.KDC{Realm: "HOME.TEST", Etypes: []int32{18}}
	must(t, home.AddUser("alice", password))
	must(t, home.Start())
	t.Cleanup(func() { home.Close() })
	kdc := start(t, 18)
	must(t, home.Trust(kdc, "localhost"))
	client, err := kerberos.New(kerberos.Config{User: "alice", Password: password, Krb5Conf: strings.Replace(home.Config(), "localhost = HOME.TEST", "", 1)})
	must(t, err)
	acceptor := &kerberostest.Acceptor{Keytab: keytabOf(t, kdc, "HTTP/localhost")}
	if _, user, err := acceptor.New(nil).Accept(newToken(t, client)); err != nil || user != "alice@HOME.TEST" {
		t.Errorf("got %q, %v, want alice@HOME.TEST", user, err)
	}
}

func TestKDCLifeCycle(t *testing.T) {
	kdc := &kerberostest.KDC{Realm: realm, Etypes: []int32{18}}
	must(t, kdc.Close()) // before Start: nothing to stop
	must(t, kdc.AddUser("alice", password))
	if _, err := kdc.Keytab("bob"); err == nil {
		t.Error("a keytab of nobody")
	}
	must(t, kdc.Start())
	if err := kdc.Start(); err == nil {
		t.Error("started twice")
	}
	must(t, kdc.Close())
	must(t, kdc.Close())
}
