package ntlm_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/ntlm/ntlmtest"
)

const proxyHost = "proxy.corp.example"

var endPoint = []byte("tls-server-end-point:0123456789abcdef0123456789abcdef")

// corp is an acceptor with one account that demands all that our client can do.
func corp() *ntlmtest.Acceptor {
	return &ntlmtest.Acceptor{
		Domain: "CORP", Host: proxyHost, RequireMIC: true, RequireChannelBinding: true, SPNEGO: true,
		Password: func(user, domain string) (string, bool) {
			known := strings.EqualFold(user, "alice") && (domain == "" || strings.EqualFold(domain, "CORP") || domain == "corp.example")
			return "pw-Alice1", known
		},
	}
}

// handshake runs both halves against each other and returns the user or either side's error.
func handshake(t *testing.T, c *ntlm.Client, a *ntlmtest.Acceptor, clientBinding, proxyBinding []byte) (string, error) {
	t.Helper()
	e, err := c.Begin(proxyHost, clientBinding)
	if err != nil {
		return "", err
	}
	h := a.New(proxyBinding)
	challenge := ""
	for range 3 {
		credentials, err := e.Next(t.Context(), challenge)
		if err != nil {
			return "", err
		}
		var user string
		challenge, user, err = h.Accept(credentials)
		if user != "" || err != nil {
			return user, err
		}
	}
	t.Fatal("no end after three rounds")
	return "", nil
}

func TestHandshake(t *testing.T) {
	password := &ntlm.Client{User: "alice", Password: "pw-Alice1"}
	hash := []byte("\xc6\x7b\x46\x37\x4c\x57\x5c\x4f\x3a\x85\xfa\xae\xcf\x39\xb7\xcd") // openssl dgst -md4
	for _, c := range []struct {
		name   string
		client *ntlm.Client
		fault  func(*ntlmtest.Acceptor)
	}{
		{"password", password, nil},
		{"NT hash", &ntlm.Client{User: "alice", NTHash: hash}, nil},
		{"NT hash before password", &ntlm.Client{User: "alice", NTHash: hash, Password: "wrong"}, nil},
		{"domain in user", &ntlm.Client{User: `CORP\alice`, Password: "pw-Alice1"}, nil},
		{"domain in user before domain", &ntlm.Client{User: `CORP\alice`, Domain: "ELSEWHERE", Password: "pw-Alice1"}, nil},
		{"domain beside user", &ntlm.Client{User: "alice", Domain: "CORP", Workstation: "DESK1", Password: "pw-Alice1"}, nil},
		{"principal name", &ntlm.Client{User: "alice@corp.example", Domain: "ELSEWHERE", Password: "pw-Alice1"}, nil},
		{"user in capitals", &ntlm.Client{User: "ALICE", Password: "pw-Alice1"}, nil},
		{"SPNEGO", &ntlm.Client{User: "alice", Password: "pw-Alice1", SPNEGO: true}, nil},
		{"SPNEGO and key exchange", &ntlm.Client{User: "alice", Password: "pw-Alice1", SPNEGO: true}, func(a *ntlmtest.Acceptor) { a.KeyExchange = true }},
		{"key exchange unasked", password, func(a *ntlmtest.Acceptor) { a.KeyExchange = true }},
		{"no timestamp", password, func(a *ntlmtest.Acceptor) { a.OmitTimestamp = true }},
		{"no target info", password, func(a *ntlmtest.Acceptor) { a.OmitTargetInfo = true }},
		{"malformed target name", password, func(a *ntlmtest.Acceptor) { a.MalformedTargetName = true }},
		{"SPNEGO under NTLM", password, func(a *ntlmtest.Acceptor) { a.WrapChallenge = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := corp()
			if c.fault != nil {
				c.fault(a)
			}
			user, err := handshake(t, c.client, a, endPoint, endPoint)
			if err != nil || !strings.EqualFold(user, "alice") {
				t.Errorf("got %q, %v, want alice", user, err)
			}
			if got := [2]int{a.Accepted("alice"), a.Failures("alice")}; got != [2]int{1, 0} {
				t.Errorf("got accepted and failed %v, want [1 0]", got)
			}
		})
	}
}

func TestVerifierRefusesClient(t *testing.T) {
	alice := func() *ntlm.Client { return &ntlm.Client{User: "alice", Password: "pw-Alice1"} }
	other := []byte("tls-server-end-point:another")
	for _, c := range []struct {
		name   string
		client *ntlm.Client
		host   string
		bind   []byte
		want   error
	}{
		{"wrong password", &ntlm.Client{User: "alice", Password: "wrong"}, proxyHost, endPoint, ntlmtest.ErrWrongPassword},
		{"unknown user", &ntlm.Client{User: "mallory", Password: "pw-Alice1"}, proxyHost, endPoint, ntlmtest.ErrUnknownUser},
		{"no channel binding", alice(), proxyHost, nil, ntlmtest.ErrChannelBinding},
		{"binding to another channel", alice(), proxyHost, other, ntlmtest.ErrChannelBinding},
		{"another proxy's name", alice(), "evil.example", endPoint, ntlmtest.ErrService},
	} {
		a := corp()
		a.Host = c.host
		_, err := handshake(t, c.client, a, c.bind, endPoint)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if got := a.Failures(c.client.User); got != 1 {
			t.Errorf("%s: got %d failures, want 1", c.name, got)
		}
	}
}

func TestOneClientManyExchanges(t *testing.T) {
	a, c := corp(), &ntlm.Client{User: "alice", Password: "pw-Alice1"}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if user, err := handshake(t, c, a, endPoint, endPoint); user != "alice" {
				t.Errorf("got %q, %v, want alice", user, err)
			}
		})
	}
	wg.Wait()
	if got := a.Accepted("alice"); got != 20 {
		t.Errorf("got %d accepted, want 20", got)
	}
}

func TestNegotiateMessage(t *testing.T) {
	for _, c := range []struct {
		name   string
		spnego bool
		flags  uint32
	}{{"raw", false, 0xa2888205}, {"SPNEGO", true, 0xa2888215}} {
		e, err := (&ntlm.Client{User: "alice", Password: "x", SPNEGO: c.spnego}).Begin(proxyHost, nil)
		must(t, err)
		credentials, err := e.Next(t.Context(), "NTLM belongs to nobody")
		must(t, err)
		token, err := base64.StdEncoding.DecodeString(credentials)
		must(t, err)
		at := bytes.Index(token, []byte("NTLMSSP\x00"))
		if at < 0 || (at > 0) != c.spnego {
			t.Fatalf("%s: NTLM message at %d of %x", c.name, at, token)
		}
		msg := token[at:]
		if got := binary.LittleEndian.Uint32(msg[12:]); len(msg) != 40 || got != c.flags || msg[39] != 15 {
			t.Errorf("%s: got %d bytes, flags %#x, want 40, %#x, and a version: %x", c.name, len(msg), got, c.flags, msg)
		}
	}
}

// begun returns an exchange that has sent its type 1.
func begun(t *testing.T) *ntlm.Exchange {
	t.Helper()
	e, err := (&ntlm.Client{User: `CORP\alice`, Password: "pw-Alice1"}).Begin(proxyHost, endPoint)
	must(t, err)
	_, err = e.Next(t.Context(), "")
	must(t, err)
	return e
}

func TestEmptyChallengeIsNoRejection(t *testing.T) {
	e := begun(t)
	_, err := e.Next(t.Context(), " ")
	if !errors.Is(err, ntlm.ErrNoChallenge) || rejected(err) {
		t.Errorf("got %v, want ErrNoChallenge and no rejection", err)
	}
	if _, again := e.Next(t.Context(), ""); again == nil || rejected(again) {
		t.Errorf("after a failure: got %v, want an error that is no rejection", again)
	}
}

func rejected(err error) bool {
	var r interface{ CredentialRejected() bool }
	return errors.As(err, &r) && r.CredentialRejected()
}

func TestAnythingAfterType3IsARejection(t *testing.T) {
	for _, next := range []string{"", "TlRMTVNTUAACAAAA", "nonsense"} {
		e := begun(t)
		_, err := e.Next(t.Context(), sambaChallenge)
		must(t, err)
		_, err = e.Next(t.Context(), next)
		want := `ntlm: the proxy rejected the NTLMv2 response of CORP\alice, sent with channel binding (domain of the challenge: PROXYSRV)`
		if !rejected(err) || err.Error() != want {
			t.Errorf("%q: got  %v\nwant %s", next, err, want)
		}
	}
}

func TestNoCredential(t *testing.T) {
	for _, c := range []struct {
		name   string
		client ntlm.Client
		want   string
	}{
		{"nothing", ntlm.Client{}, "ntlm: no password given"},
		{"no password", ntlm.Client{User: "alice"}, "ntlm: no password given"},
		{"no user", ntlm.Client{Password: "x"}, "ntlm: no user given"},
		{"domain only", ntlm.Client{User: `CORP\`, Password: "x"}, "ntlm: no user given"},
	} {
		_, err := c.client.Begin(proxyHost, nil)
		var none interface{ NoCredential() bool }
		if !errors.As(err, &none) || !none.NoCredential() || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestBeginRefuses(t *testing.T) {
	long := strings.Repeat("x", 513)
	for _, c := range []struct {
		name   string
		client ntlm.Client
		host   string
		want   string
	}{
		{"hash in hex", ntlm.Client{User: "a", NTHash: []byte("830ced3f4ab5f8e52927b82464244df5")}, "p", "NT hash of 32 bytes"},
		{"long user", ntlm.Client{User: long, Password: "x"}, "p", "user of 513"},
		{"long workstation", ntlm.Client{User: "a", Workstation: long, Password: "x"}, "p", "workstation of 513"},
		{"long host", ntlm.Client{User: "a", Password: "x"}, long, "proxy host of 513"},
	} {
		_, err := c.client.Begin(c.host, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestChallengeErrors(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(sambaChallenge)
	must(t, err)
	oem := bytes.Clone(raw)
	oem[20] &^= 1
	for _, c := range []struct{ name, challenge, want string }{
		{"no base64", "not base64", "it is not base64"},
		{"another protocol", "YWJjZGVmZ2hpamtsbW5vcA==", "does not begin with NTLMSSP"},
		{"our own type 1", "TlRMTVNTUAABAAAABYKIogAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==", "type 1 where the challenge (type 2) is due"},
		{"endless", strings.Repeat("A", 30000), "limit 21848"},
		{"no Unicode", base64.StdEncoding.EncodeToString(oem), "did not agree to Unicode"},
		{"SPNEGO rejects", "oQcwBaADCgEC", "rejects NTLM"},
		{"SPNEGO without token", "oQcwBaADCgEB", "no NTLM message in it"},
		{"SPNEGO chose Kerberos", "oRQwEqADCgEBoQsGCSqGSIb3EgECAg==", "chose mechanism 1.2.840.113554.1.2.2"},
		{"SPNEGO broken", "oQ==", "NegTokenResp"},
	} {
		_, err := begun(t).Next(t.Context(), c.challenge)
		var challengeErr *ntlm.ChallengeError
		if !errors.As(err, &challengeErr) || !strings.Contains(err.Error(), c.want) || rejected(err) {
			t.Errorf("%s: got %v, want a ChallengeError with %q", c.name, err, c.want)
		}
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := (&ntlm.Client{User: "a", Password: "x"}).Begin(proxyHost, nil)
	must(t, err)
	if _, err := e.Next(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := e.Next(t.Context(), ""); err != nil {
		t.Errorf("after a cancelled call: got %v, want a message", err)
	}
}
