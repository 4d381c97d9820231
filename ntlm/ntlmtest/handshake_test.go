package ntlmtest_test

import (
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/ntlm/internal/spnego"
	"github.com/turngate/turngate/ntlm/ntlmtest"
)

// curlNegotiate is the 32-byte type 1 of curl 7.88: no version, no Unicode.
const curlNegotiate = "TlRMTVNTUAABAAAABoIIAAAAAAAAAAAAAAAAAAAAAAA="

var alice = &ntlm.Client{User: "alice", Password: "pw-Alice1"}

// respond returns the type 3 of a client to the handshake's challenge.
func respond(t *testing.T, c *ntlm.Client, h *ntlmtest.Handshake) string {
	t.Helper()
	e, err := c.Begin("127.0.0.1", nil)
	must(t, err)
	first, err := e.Next(t.Context(), "")
	must(t, err)
	challenge, user, err := h.Accept(first)
	must(t, err)
	if user != "" || challenge == "" {
		t.Fatalf("after type 1: got user %q, challenge %q", user, challenge)
	}
	second, err := e.Next(t.Context(), challenge)
	must(t, err)
	return second
}

func TestAResponseCountsOnce(t *testing.T) {
	a := corp()
	h := a.New(nil)
	response := respond(t, alice, h)
	if _, user, err := h.Accept(response); user != "alice" || err != nil {
		t.Fatalf("got %q, %v, want alice", user, err)
	}
	_, user, err := h.Accept(response)
	if user != "" || err == nil || !strings.Contains(err.Error(), "without a challenge") {
		t.Errorf("again: got %q, %v, want a refusal", user, err)
	}
	other := a.New(nil)
	respond(t, alice, other)
	if _, user, err = other.Accept(response); user != "" || !errors.Is(err, ntlmtest.ErrWrongPassword) {
		t.Errorf("on another connection: got %q, %v, want ErrWrongPassword", user, err)
	}
}

func TestAHandshakeMayBeginAgain(t *testing.T) {
	a := corp()
	h := a.New(nil)
	_, _, err := h.Accept(respond(t, &ntlm.Client{User: "alice", Password: "wrong"}, h))
	if !errors.Is(err, ntlmtest.ErrWrongPassword) {
		t.Fatalf("got %v, want ErrWrongPassword", err)
	}
	if _, user, err := h.Accept(respond(t, alice, h)); user != "alice" {
		t.Errorf("second time: got %q, %v, want alice", user, err)
	}
}

func TestClockSkew(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		want error
	}{{0, nil}, {29 * time.Minute, nil}, {31 * time.Minute, ntlmtest.ErrTime}, {-31 * time.Minute, ntlmtest.ErrTime}} {
		a := corp()
		a.OmitTimestamp = true // else the client takes our time
		a.Now = func() time.Time { return time.Now().Add(c.off) }
		h := a.New(nil)
		if _, _, err := h.Accept(respond(t, alice, h)); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", c.off, err, c.want)
		}
	}
}

func TestServiceWithPort(t *testing.T) {
	for _, c := range []struct {
		host string // what the client calls the proxy
		want error
	}{{"127.0.0.1:3128", nil}, {"", nil}, {"127.0.0.10", ntlmtest.ErrService}} {
		h := corp().New(nil)
		e, err := alice.Begin(c.host, nil)
		must(t, err)
		first, err := e.Next(t.Context(), "")
		must(t, err)
		challenge, _, err := h.Accept(first)
		must(t, err)
		second, err := e.Next(t.Context(), challenge)
		must(t, err)
		if _, _, err = h.Accept(second); !errors.Is(err, c.want) {
			t.Errorf("%q: got %v, want %v", c.host, err, c.want)
		}
	}
}

// encode is what a client would send.
func encode(t *testing.T, token interface{ Marshal() ([]byte, error) }) string {
	t.Helper()
	b, err := token.Marshal()
	must(t, err)
	return base64.StdEncoding.EncodeToString(b)
}

var kerberos = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}

// A browser without a ticket offers Kerberos first and has no token of it.
func TestNTLMIsTheSecondChoice(t *testing.T) {
	h := corp().New(nil)
	challenge, _, err := h.Accept(encode(t, spnego.Init{MechTypes: []asn1.ObjectIdentifier{kerberos, spnego.NTLMSSP}}))
	must(t, err)
	if want := encode(t, spnego.Resp{State: spnego.RequestMIC, SupportedMech: spnego.NTLMSSP}); challenge != want {
		t.Errorf("got %s, want %s: NTLM chosen, no token", challenge, want)
	}
	negotiate, err := base64.StdEncoding.DecodeString(curlNegotiate)
	must(t, err)
	challenge, _, err = h.Accept(encode(t, spnego.Resp{State: spnego.Absent, ResponseToken: negotiate}))
	must(t, err)
	token, err := base64.StdEncoding.DecodeString(challenge)
	must(t, err)
	if got, err := ntlm.ParseChallenge(token); err != nil || !got.SPNEGO || got.NetBIOSDomain != "CORP" {
		t.Errorf("got %+v, %v, want a challenge of CORP in SPNEGO", got, err)
	}
}

func TestSignatureOfTheListIsDemanded(t *testing.T) {
	h := corp().New(nil)
	token, err := base64.StdEncoding.DecodeString(respond(t, &ntlm.Client{User: "alice", Password: "pw-Alice1", SPNEGO: true}, h))
	must(t, err)
	resp, err := spnego.ParseResp(token)
	must(t, err)
	resp.MechListMIC = nil
	if _, user, err := h.Accept(encode(t, resp)); user != "" || !errors.Is(err, ntlmtest.ErrListMIC) {
		t.Errorf("got %q, %v, want ErrListMIC", user, err)
	}
}

func TestRefuses(t *testing.T) {
	init := encode(t, spnego.Init{MechTypes: []asn1.ObjectIdentifier{spnego.NTLMSSP}})
	for _, c := range []struct {
		name, credentials, want string
		rawOnly                 bool
	}{
		{"no base64", "?", "not base64", false},
		{"endless", strings.Repeat("A", 30000), "30000 characters", false},
		{"nothing", "", "too short", false},
		{"another protocol", base64.StdEncoding.EncodeToString([]byte("something else")), "does not begin with NTLMSSP", false},
		{"type 1 cut off", "TlRMTVNTUAABAAAA", "at least 16", false},
		{"a challenge", "TlRMTVNTUAACAAAAAAAAAA==", "type 2 from a client", false},
		{"a response out of order", "TlRMTVNTUAADAAAAAAAAAA==", "without a challenge", false},
		{"SPNEGO where it is not spoken", init, "only bare NTLM", true},
		{"SPNEGO without NTLM", encode(t, spnego.Init{MechTypes: []asn1.ObjectIdentifier{kerberos}}), "offers no NTLM", false},
		{"SPNEGO broken", "YAA=", "SPNEGO frame", false},
		{"SPNEGO broken, too", "oQA=", "NegTokenResp", false},
	} {
		a := corp()
		a.SPNEGO = !c.rawOnly
		challenge, user, err := a.New(nil).Accept(c.credentials)
		if challenge != "" || user != "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %q, %v, want an error with %q", c.name, challenge, user, err, c.want)
		}
	}
}

func TestAnonymousIsRefused(t *testing.T) {
	h := corp().New(nil)
	_, _, err := h.Accept(curlNegotiate)
	must(t, err)
	empty := make([]byte, 64)
	copy(empty, "NTLMSSP\x00\x03")
	_, user, err := h.Accept(base64.StdEncoding.EncodeToString(empty))
	if user != "" || err == nil || !strings.Contains(err.Error(), "anonymous") {
		t.Errorf("got %q, %v, want a refusal", user, err)
	}
}
