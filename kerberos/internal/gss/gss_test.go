package gss

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// TestBind has the example of Microsoft's "NTLM and Channel Binding Hash" (2013), which Kerberos
// shares.
func TestBind(t *testing.T) {
	cert, _ := hex.DecodeString("ea05fefecc6b0bd571dbbc5baa3ed45386d0446835f7b74c85621b9983475f95")
	got := Bind(append([]byte("tls-server-end-point:"), cert...))
	if want := "6586e99d81c2fc984e47172fd4dd0310"; hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, want %s", got, want)
	}
	if got := Bind(nil); got != (Binding{}) {
		t.Errorf("no channel: got %x, want zeros", got)
	}
}

func TestChecksum(t *testing.T) {
	want := Bind([]byte("x"))
	bnd, flags, err := ParseChecksum(append(Checksum(want, FlagMutual|FlagInteg), "delegated credentials"...))
	if err != nil || bnd != want || flags != FlagMutual|FlagInteg {
		t.Errorf("got %x, %x, %v, want %x, %x", bnd, flags, err, want, FlagMutual|FlagInteg)
	}
	for _, b := range [][]byte{nil, make([]byte, 23), make([]byte, 24)} {
		if _, _, err := ParseChecksum(b); err == nil {
			t.Errorf("%x: got no error", b)
		}
	}
}

// several is what Windows offers: Kerberos by both names first.
var several = Init{Mechs: []asn1.ObjectIdentifier{MSKerberos, Kerberos, NegoEx, NTLM}, Token: []byte("token")}

func TestInit(t *testing.T) {
	for _, want := range []Init{several, {Mechs: []asn1.ObjectIdentifier{Kerberos}}, {}} {
		b, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseInit(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	// reqFlags [1] and mechListMIC [3] are skipped.
	b := unhex(t, "6021 06062b0601050502 a017 3015 a00d300b06092a864886f712010202 a10403020640")
	got, err := ParseInit(b)
	if err != nil || len(got.Mechs) != 1 || !got.Mechs[0].Equal(Kerberos) || got.Token != nil {
		t.Errorf("with reqFlags: got %v, %v, want Kerberos alone", got, err)
	}
}

func TestInitErrors(t *testing.T) {
	many := Init{}
	for range maxMechs + 1 {
		many.Mechs = append(many.Mechs, NTLM)
	}
	tooMany, err := many.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		token []byte
		want  string
	}{
		{"nothing", nil, "malformed"},
		{"response", unhex(t, "a1023000"), "malformed"},
		{"another mechanism", unhex(t, "600b 06092a864886f712010202"), "a token of Kerberos, not of SPNEGO"},
		{"frame alone", unhex(t, "6008 06062b0601050502"), "malformed"},
		{"too many mechanisms", tooMany, "more than 64 mechanisms"},
		{"list of numbers", unhex(t, "6015 06062b0601050502 a00b 3009 a0073005020103 0500"), "malformed"},
	} {
		if _, err := ParseInit(tt.token); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestResp(t *testing.T) {
	for _, want := range []Resp{
		{State: AcceptCompleted},
		{State: NoState},
		{State: RequestMIC, Mech: NTLM, Token: []byte("t"), MIC: []byte("m")},
		{State: Reject, Token: []byte{}},
	} {
		b, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseResp(b)
		if err != nil || got.State != want.State || !got.Mech.Equal(want.Mech) || !bytes.Equal(got.Token, want.Token) || !bytes.Equal(got.MIC, want.MIC) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	for _, b := range []string{"", "a1", "a100", "a1043002a000", "a1063004a0020a00"} {
		if _, err := ParseResp(unhex(t, b)); err == nil {
			t.Errorf("%s: got no error", b)
		}
	}
}

// squidFinal is a final token that Squid's helper sent: MIT's NegTokenResp with an AP-REP.
const squidFinal = "oX8wfaADCgEAoQsGCSqGSIb3EgECAqJpBGdgZQYJKoZIhvcSAQICAgBvVjBUoAMCAQWhAwIBD6JIMEagAwIBF6I/BD0dpqu2+SXmLs3QiV7B+j2SpqOnakV/9qR5blXtzSU7KMBZWYT1vIqWd6aDQoD1jFyKQyY/8o0+KX8+RcZR"

func TestRespOfMIT(t *testing.T) {
	b, err := base64.StdEncoding.DecodeString(squidFinal)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseResp(b)
	if err != nil || r.State != AcceptCompleted || !r.Mech.Equal(Kerberos) {
		t.Fatalf("got %v, %v, want accept-completed and Kerberos", r, err)
	}
	id, message, err := Unwrap(r.Token)
	if err != nil || id != APRep || len(message) == 0 || message[0] != 0x6f {
		t.Errorf("got %#x, %x, %v, want an AP-REP", id, message, err)
	}
	if again, err := r.Marshal(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("written again: %x, %v, want %x", again, err, b)
	}
}

func TestUnwrap(t *testing.T) {
	token, err := Wrap(APReq, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	if id, message, err := Unwrap(token); err != nil || id != APReq || string(message) != "message" {
		t.Errorf("got %#x, %q, %v, want an AP-REQ", id, message, err)
	}
	for _, tt := range []struct{ name, token, want string }{
		{"nothing", "", "malformed"},
		{"SPNEGO", "6008 06062b0601050502", "a token of SPNEGO, not of Kerberos"},
		{"no message", "600b 06092a864886f712010202", "without a message"},
	} {
		if _, _, err := Unwrap(unhex(t, tt.token)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzTokens(f *testing.F) {
	init, err := several.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	final, err := base64.StdEncoding.DecodeString(squidFinal)
	if err != nil {
		f.Fatal(err)
	}
	wrapped, err := Wrap(APReq, []byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{init, final, wrapped, Checksum(Binding{1}, 2), []byte("NTLMSSP\x00")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if in, err := ParseInit(b); err == nil {
			again, err := in.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseInit(again); err != nil || len(back.Mechs) != len(in.Mechs) || !bytes.Equal(back.Token, in.Token) {
				t.Errorf("written again: %v, %v, want %v", back, err, in)
			}
		}
		if r, err := ParseResp(b); err == nil {
			if _, err := r.Marshal(); err != nil {
				t.Errorf("%v reads, but does not write: %v", r, err)
			}
		}
		Unwrap(b)
		Mech(b)
		ParseChecksum(b)
	})
}
