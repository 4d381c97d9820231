package kerberos_test

import (
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// A stage is a client that has shown its token, and the acceptor's answer to it.
type stage struct {
	exchange *kerberos.Exchange
	final    gss.Resp
}

func newStage(t *testing.T, client *kerberos.Client, acceptor *kerberostest.Acceptor) stage {
	t.Helper()
	ctx := testContext(t)
	e, err := client.Begin(ctx, "localhost", nil)
	must(t, err)
	token, err := e.Next(ctx, "")
	must(t, err)
	h := acceptor.New(nil)
	_, _, err = h.Accept(token)
	must(t, err)
	raw, err := base64.StdEncoding.DecodeString(h.Final())
	must(t, err)
	final, err := gss.ParseResp(raw)
	must(t, err)
	return stage{e, final}
}

func encode(t *testing.T, r gss.Resp) string {
	t.Helper()
	b, err := r.Marshal()
	must(t, err)
	return base64.StdEncoding.EncodeToString(b)
}

func krbError(t *testing.T, code int32, stime time.Time) []byte {
	t.Helper()
	m, err := (&krb5.Error{Version: 5, Type: krb5.TypeError, Code: code, STime: krb5.Time(stime), Server: krb5.ParseName(2, proxySPN)}).Marshal()
	must(t, err)
	token, err := gss.Wrap(gss.KRBError, m)
	must(t, err)
	return token
}

// TestSecondLeg has a proxy that is not content with the first token.
func TestSecondLeg(t *testing.T) {
	kdc := startKDC(t, 18)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
	acceptor := newAcceptor(t, kdc)
	noMech := asn1.ObjectIdentifier(nil)
	for _, tt := range []struct {
		name      string
		challenge func(final gss.Resp) string
		want      string // of the error; "" when the exchange goes on
		refused   bool   // the ticket, so that another mechanism may be tried
	}{
		{"bare challenge", func(gss.Resp) string { return "" }, "look at the proxy's keytab", true},
		{"reject", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.Reject}) }, "it says reject", true},
		{"reject with reason", func(gss.Resp) string {
			return encode(t, gss.Resp{State: gss.Reject, Token: krbError(t, krb5.ErrSkew, time.Now().Add(-time.Hour))})
		}, "its clock is 1h0m", true},
		{"reject with garbage", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.Reject, Token: []byte("?")}) }, "it says reject", true},
		{"reason alone", func(gss.Resp) string {
			return base64.StdEncoding.EncodeToString(krbError(t, krb5.ErrModified, time.Now()))
		}, "KRB_AP_ERR_MODIFIED", true},
		{"more, after its proof", func(f gss.Resp) string {
			return encode(t, gss.Resp{State: gss.AcceptIncomplete, Mech: gss.Kerberos, Token: f.Token})
		}, "", false},
		{"more, without state", func(f gss.Resp) string { return encode(t, gss.Resp{State: gss.NoState, Mech: noMech, Token: f.Token}) }, "", false},
		{"more, without proof", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.AcceptIncomplete, Mech: gss.Kerberos}) }, "without one of its own", false},
		{"MIC", func(f gss.Resp) string { return encode(t, gss.Resp{State: gss.RequestMIC, Token: f.Token}) }, "request-mic", false},
		{"NTLM preferred", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.AcceptIncomplete, Mech: gss.NTLM}) }, "it wants NTLM", true},
		{"bare NTLM", func(gss.Resp) string { return base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00\x02")) }, "answers with NTLM", true},
		{"not base64", func(gss.Resp) string { return "%%" }, "not base64", false},
		{"garbage", func(gss.Resp) string { return "AAAA" }, "malformed SPNEGO token", false},
		{"too long", func(gss.Resp) string { return strings.Repeat("A", 1<<20) }, "too long", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, client, acceptor)
			answer, err := s.exchange.Next(testContext(t), tt.challenge(s.final))
			if tt.want == "" {
				if err != nil || answer != encode(t, gss.Resp{State: gss.AcceptCompleted}) {
					t.Errorf("got %q, %v, want accept-completed", answer, err)
				}
				if _, err := s.exchange.Next(testContext(t), answer); !ticketRefused(err) {
					t.Errorf("third leg: got %v, want a refused ticket", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || ticketRefused(err) != tt.refused || credentialRejected(err) {
				t.Errorf("got %v (refused %v), want %q (%v), no rejection", err, ticketRefused(err), tt.want, tt.refused)
			}
		})
	}
}

// TestFinish checks the proxy's last word.
func TestFinish(t *testing.T) {
	kdc := startKDC(t, 18)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
	acceptor := newAcceptor(t, kdc)
	foreign := newStage(t, client, acceptor).final.Token
	for _, tt := range []struct {
		name  string
		final func(gss.Resp) string
		want  string // of the error
	}{
		{"none", func(gss.Resp) string { return "" }, ""},
		{"right", func(f gss.Resp) string { return encode(t, f) }, ""},
		{"right, bare", func(f gss.Resp) string { return base64.StdEncoding.EncodeToString(f.Token) }, ""},
		{"completed without proof", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.AcceptCompleted}) }, ""},
		{"of another exchange", func(f gss.Resp) string { f.Token = foreign; return encode(t, f) }, "answers another request"},
		{"with another key", func(f gss.Resp) string {
			broken := append([]byte(nil), f.Token...)
			broken[len(broken)-1] ^= 1
			f.Token = broken
			return encode(t, f)
		}, "does not have the key of the ticket"},
		{"reject", func(gss.Resp) string { return encode(t, gss.Resp{State: gss.Reject}) }, "it says reject"},
		{"garbage", func(gss.Resp) string { return "AAAA" }, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, client, acceptor)
			err := s.exchange.Finish(tt.final(s.final))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("before Next", func(t *testing.T) {
		e, err := client.Begin(testContext(t), "localhost", nil)
		must(t, err)
		if err := e.Finish(""); err == nil {
			t.Error("got no error")
		}
	})
}

// TestEvidence: what is shown and what comes back can be told without a secret.
func TestEvidence(t *testing.T) {
	kdc := startKDC(t, 18)
	acceptor := newAcceptor(t, kdc)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
	s := newStage(t, client, acceptor)
	must(t, s.exchange.Finish(encode(t, s.final)))
	v := s.exchange.Evidence()
	if v.Client != "alice@"+kdc.Realm || v.Service != proxySPN || v.Etype != "aes256-cts-hmac-sha1-96" || v.KVNO == 0 || !v.ClockKnown || v.Clock.Abs() > 2*time.Second {
		t.Errorf("got %+v, want alice's ticket for %s, of aes256, from a clock like ours", v, proxySPN)
	}
	if got := strings.Join(v.Replies, "; "); got != "accept-completed, Kerberos, AP-REP" {
		t.Errorf("the proxy's replies are %q", got)
	}
	for _, c := range []struct {
		reply gss.Resp
		want  string
	}{
		{gss.Resp{State: gss.Reject}, "reject"},
		{gss.Resp{State: gss.AcceptIncomplete, Token: krbError(t, krb5.ErrSkew, time.Now())}, "accept-incomplete, KRB-ERROR 37 KRB_AP_ERR_SKEW"},
		{gss.Resp{State: 9, Token: []byte("x")}, "state 9, 1 bytes that are no token of Kerberos"},
	} {
		e := newStage(t, client, acceptor).exchange
		_, _ = e.Next(testContext(t), encode(t, c.reply)) // an error: it was refused
		if got := strings.Join(e.Evidence().Replies, "; "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
