package proxyconnect

import (
	"reflect"
	"strings"
	"testing"
)

var challengeTests = []struct {
	name   string
	values []string
	want   []Challenge
}{
	{"none", nil, nil},
	{"empty field", []string{""}, nil},
	{"bare scheme", []string{"Negotiate"}, []Challenge{{"Negotiate", ""}}},
	{"a field each", []string{"Negotiate", "NTLM", `Basic realm="a"`},
		[]Challenge{{"Negotiate", ""}, {"NTLM", ""}, {"Basic", `realm="a"`}}},
	{"all in one field", []string{`Negotiate, NTLM, Basic realm="a"`},
		[]Challenge{{"Negotiate", ""}, {"NTLM", ""}, {"Basic", `realm="a"`}}},
	{"any case", []string{`nTLM,BASIC Realm="a"`},
		[]Challenge{{"nTLM", ""}, {"BASIC", `Realm="a"`}}},
	{"token68 with padding", []string{"NTLM TlRMTVNTUAAC=="}, []Challenge{{"NTLM", "TlRMTVNTUAAC=="}}},
	{"token68 then another", []string{"Negotiate oYG2MIGz/+=, NTLM"},
		[]Challenge{{"Negotiate", "oYG2MIGz/+="}, {"NTLM", ""}}},
	{"params then another scheme", []string{`Digest realm="a", nonce="b", qop="auth,auth-int", stale=false, Basic realm="c"`},
		[]Challenge{{"Digest", `realm="a", nonce="b", qop="auth,auth-int", stale=false`}, {"Basic", `realm="c"`}}},
	{"params then bare scheme", []string{`Basic realm="c", NTLM`},
		[]Challenge{{"Basic", `realm="c"`}, {"NTLM", ""}}},
	{"comma and scheme in a quoted string", []string{`Basic realm="x, NTLM \"y\"", Negotiate`},
		[]Challenge{{"Basic", `realm="x, NTLM \"y\""`}, {"Negotiate", ""}}},
	{"spaces around =", []string{`Digest realm = "a" , nonce = b`},
		[]Challenge{{"Digest", `realm = "a" , nonce = b`}}},
	{"empty elements", []string{`, ,Basic realm="a",,`}, []Challenge{{"Basic", `realm="a"`}}},
	{"tabs", []string{"Basic\trealm=\"a\",\tNTLM"}, []Challenge{{"Basic", `realm="a"`}, {"NTLM", ""}}},
	{"unterminated quote", []string{`Basic realm="a, NTLM`}, []Challenge{{"Basic", ""}}},
	{"garbage between", []string{`(x), NTLM`}, []Challenge{{"NTLM", ""}}},
	{"two Digests", []string{`Digest realm="a", nonce="1", algorithm=SHA-256`, `Digest realm="a", nonce="2", algorithm=MD5`},
		[]Challenge{{"Digest", `realm="a", nonce="1", algorithm=SHA-256`}, {"Digest", `realm="a", nonce="2", algorithm=MD5`}}},
}

func TestParseChallenges(t *testing.T) {
	for _, tt := range challengeTests {
		if got := ParseChallenges(tt.values); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: ParseChallenges(%q)\n got %q\nwant %q", tt.name, tt.values, got, tt.want)
		}
	}
}

func TestChallengeParams(t *testing.T) {
	c := Challenge{"Digest", `realm="a \"b\", c", Nonce=xyz, qop = "auth" , realm="second", bad`}
	want := map[string]string{"realm": `a "b", c`, "nonce": "xyz", "qop": "auth"}
	if got := c.Params(); !reflect.DeepEqual(got, want) {
		t.Errorf("Params of %q\n got %q\nwant %q", c.Rest, got, want)
	}
}

func FuzzParseChallenges(f *testing.F) {
	for _, tt := range challengeTests {
		f.Add(strings.Join(tt.values, "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range ParseChallenges(strings.Split(text, "\n")) {
			if c.Scheme == "" {
				t.Errorf("a challenge without a scheme in %q", text)
			}
			if !strings.Contains(text, c.Rest) {
				t.Errorf("%q is no part of %q", c.Rest, text)
			}
			c.Params()
			// What was understood once is understood the same again.
			again := ParseChallenges([]string{strings.TrimSpace(c.Scheme + " " + c.Rest)})
			if len(again) != 1 || again[0] != c {
				t.Errorf("%q read again is %q", c, again)
			}
		}
	})
}
