package testproxy

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"
	"time"
)

func aliceDigest(algorithm string) DigestConfig {
	return DigestConfig{Realm: `the "lab"`, Algorithm: algorithm, Password: func(user string) (string, bool) {
		return "pässword", user == "alice" || user == "älice"
	}}
}

// The examples of RFC 7616 section 3.9.1.
func TestDigestVectors(t *testing.T) {
	p := map[string]string{
		"uri": "/dir/index.html", "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "nc": "00000001",
		"cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "qop": "auth",
	}
	for algorithm, want := range map[string]string{
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		d := newDigest(DigestConfig{Realm: "http-auth@example.org", Algorithm: algorithm})
		if got := d.response(p, d.ha1(p, "Mufasa", "Circle of Life"), "GET"); got != want {
			t.Errorf("%s: got %s, want %s", algorithm, got, want)
		}
	}
}

// md5Response is a second reading of RFC 7616 for qop=auth and MD5, as a client has it.
func md5Response(user, realm, password, nonce, nc, cnonce, uri string) string {
	a1 := fmt.Sprintf("%x", md5.Sum([]byte(user+":"+realm+":"+password)))
	a2 := fmt.Sprintf("%x", md5.Sum([]byte("CONNECT:"+uri)))
	return fmt.Sprintf("%x", md5.Sum([]byte(a1+":"+nonce+":"+nc+":"+cnonce+":auth:"+a2)))
}

// credentials answers a challenge as alice; edits replace or, with "", drop params before the
// response is computed, except for response itself.
func digestCredentials(t testing.TB, challenge string, edits map[string]string) string {
	t.Helper()
	offered, err := parseParams(strings.TrimPrefix(challenge, "Digest "))
	if err != nil {
		t.Fatal(err)
	}
	p := map[string]string{
		"username": "alice", "realm": offered["realm"], "nonce": offered["nonce"], "uri": "turn.example.test:443", "qop": "auth",
		"nc": "00000001", "cnonce": "0a4f113b", "opaque": offered["opaque"], "algorithm": "MD5",
	}
	password := "pässword"
	for name, value := range edits {
		if name == "password" {
			password = value
		} else {
			p[name] = value
		}
	}
	if _, set := p["response"]; !set {
		user := p["username"]
		if user == "" {
			user = "älice" // sent as username*
		}
		p["response"] = md5Response(user, p["realm"], password, p["nonce"], p["nc"], p["cnonce"], p["uri"])
	}
	var fields []string
	for name, value := range p {
		if value != "" {
			fields = append(fields, name+"="+quote(value))
		}
	}
	return strings.Join(fields, ", ")
}

func TestDigestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		edits    map[string]string
		user     string // accepted
		rejected string // words of the error
	}{
		{name: "right", user: "alice"},
		{name: "wrong password", edits: map[string]string{"password": "x"}, rejected: "wrong user or password"},
		{name: "unknown user", edits: map[string]string{"username": "bob"}, rejected: "wrong user or password"},
		{name: "extended user", edits: map[string]string{"username": "", "username*": "UTF-8''%c3%a4lice"}, user: "älice"},
		{name: "both users", edits: map[string]string{"username*": "UTF-8''alice"}, rejected: "username*"},
		{name: "bad extended user", edits: map[string]string{"username": "", "username*": "UTF-8''%c3"}, rejected: "username*"},
		{name: "other realm", edits: map[string]string{"realm": "x"}, rejected: "realm"},
		{name: "other opaque", edits: map[string]string{"opaque": "x"}, rejected: "opaque"},
		{name: "other uri", edits: map[string]string{"uri": "evil.example.test:443"}, rejected: "uri"},
		{name: "foreign nonce", edits: map[string]string{"nonce": "x"}, rejected: "not ours"},
		{name: "no qop", edits: map[string]string{"qop": ""}, rejected: "without qop"},
		{name: "other qop", edits: map[string]string{"qop": "auth-int"}, rejected: "qop"},
		{name: "short nc", edits: map[string]string{"nc": "1"}, rejected: "nc"},
		{name: "no hexadecimal nc", edits: map[string]string{"nc": "0000000g"}, rejected: "nc"},
		{name: "no cnonce", edits: map[string]string{"cnonce": ""}, rejected: "without cnonce"},
		{name: "userhash not offered", edits: map[string]string{"userhash": "true"}, rejected: "userhash"},
		{name: "empty response", edits: map[string]string{"response": ""}, rejected: "without response"},
	} {
		scheme := Digest(aliceDigest(""))
		h := scheme.New(ConnInfo{Method: "CONNECT", Target: "turn.example.test:443"})
		challenge, user, err := h.Accept(digestCredentials(t, scheme.offer(), c.edits))
		if c.rejected == "" {
			if err != nil || user != c.user || challenge != "" {
				t.Errorf("%s: got user %q, challenge %q, error %v; want user %q", c.name, user, challenge, err, c.user)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.rejected) {
			t.Errorf("%s: error %v, want one about %q", c.name, err, c.rejected)
		}
	}
}

// A nonce count works once; nonces of a bygone time only earn a new one, and only for the right
// password.
func TestDigestStale(t *testing.T) {
	now := time.Unix(1e9, 0)
	cfg := aliceDigest("")
	cfg.NonceLifetime, cfg.Now = time.Minute, func() time.Time { return now }
	scheme := Digest(cfg)
	offer := scheme.offer()
	accept := func(offer string, edits map[string]string) (string, string, error) {
		return scheme.New(ConnInfo{Method: "CONNECT", Target: "turn.example.test:443"}).Accept(digestCredentials(t, offer, edits))
	}
	for _, c := range []struct {
		nc   string
		want bool
	}{
		{"00000002", true}, {"00000001", true}, {"00000002", false}, {"00000001", false}, {"00000000", false},
		{"00000050", true}, {"00000011", true}, {"00000010", false}, {"00000050", false}, {"ffffffff", true},
	} {
		challenge, user, err := accept(offer, map[string]string{"nc": c.nc})
		if err != nil || (user == "alice") != c.want || strings.Contains(challenge, "stale=true") == c.want {
			t.Errorf("nc %s: got user %q, challenge %q, error %v; want accepted %v, else stale", c.nc, user, challenge, err, c.want)
		}
	}
	now = now.Add(time.Minute)
	if _, _, err := accept(offer, map[string]string{"password": "x"}); err == nil {
		t.Error("a wrong password with an old nonce is not rejected")
	}
	challenge, _, err := accept(offer, nil)
	if err != nil || !strings.Contains(challenge, "stale=true") {
		t.Fatalf("old nonce: challenge %q, error %v; want a stale one", challenge, err)
	}
	if _, user, err := accept(challenge, nil); user != "alice" || err != nil {
		t.Errorf("answer to the stale challenge: user %q, error %v; want alice", user, err)
	}
}

func TestNoncesAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := newNonces(time.Minute, func() time.Time { return now })
	n.max = 2
	first := n.issue()
	for range 2 {
		if !n.use(n.issue(), "00000001") {
			t.Fatal("a fresh nonce is not taken")
		}
	}
	now = now.Add(time.Second)
	if n.use(first, "00000001") || len(n.used) != 0 {
		t.Errorf("at the bound: an older nonce was taken or %d are remembered; want all of them stale", len(n.used))
	}
	if one, two := n.use(n.issue(), "00000001"), n.use(n.issue(), "00000001"); !one || !two {
		t.Error("nonces from after the bound are not taken")
	}
	now = now.Add(2 * time.Minute)
	if !n.use(n.issue(), "00000001") || len(n.used) != 1 {
		t.Errorf("%d nonces remembered, want the expired ones forgotten", len(n.used))
	}
}

func TestDigestTellsAlgorithmsApart(t *testing.T) {
	p := &Proxy{Schemes: []Scheme{Digest(aliceDigest("SHA-256")), Digest(aliceDigest("MD5"))}}
	for credentials, want := range map[string]*Scheme{
		`algorithm=SHA-256, username="a"`: &p.Schemes[0],
		`algorithm=md5, username="a"`:     &p.Schemes[1],
		`username="a"`:                    &p.Schemes[1],
		`algorithm=SHA-512`:               nil,
	} {
		if got := p.scheme("digest", credentials); got != want {
			t.Errorf("%s: wrong scheme", credentials)
		}
	}
}

func TestParseParams(t *testing.T) {
	for in, want := range map[string]string{
		`a=b`:                     "map[a:b]",
		`A = "b\"\\c" ,, d=e,`:    `map[a:b"\c d:e]`,
		``:                        "map[]",
		` , `:                     "map[]",
		`a="b, c=d"`:              "map[a:b, c=d]",
		`a=b, A=c`:                "auth-param 2: its name comes twice",
		`a`:                       "auth-param 1: no value",
		`a=`:                      "auth-param 1: no value",
		`=b`:                      "auth-param 1: no name",
		`a="b`:                    "auth-param 1: quoted-string does not end",
		`a="b\`:                   "auth-param 1: quoted-string does not end",
		`a=b c=d`:                 "auth-param 1: no comma after it",
		`a="b"c`:                  "auth-param 1: no comma after it",
		`username*=UTF-8''%c3%a4`: "map[username*:UTF-8''%c3%a4]",
	} {
		params, err := parseParams(in)
		got := fmt.Sprint(params)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestParseBasicErrorsHoldNoSecret(t *testing.T) {
	for _, credentials := range []string{"c2VjcmV0", "OnNlY3JldA==", "c2VjcmV0*", "YTpzZWNyZXQB", "YTpzZWNyZXT/", "c2VjcmV0OnNlY3JldA"} {
		_, _, err := parseBasic(credentials)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), credentials) {
			t.Errorf("%s: error %v, want one without the secret", credentials, err)
		}
	}
}
