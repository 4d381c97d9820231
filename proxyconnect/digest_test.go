package proxyconnect

import (
	"strings"
	"testing"
)

// The examples of RFC 7616 sections 3.9.1 and 3.9.2, and RFC 2617 section 3.5.
func TestDigestVectors(t *testing.T) {
	const (
		cnonce  = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
		example = `realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=`
	)
	tests := []struct{ name, challenge, cnonce, password, want string }{
		{"MD5", example + "MD5", cnonce, "Circle of Life", `response="8ca523f5e9506fed4657c9700eebdbec"`},
		{"SHA-256", example + "SHA-256", cnonce, "Circle of Life", `response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`},
		{"RFC 2617", `realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"0a4f113b", "Circle Of Life", `response="6629fae49393a05397450978507c4ef1"`},
		{"RFC 2069 form", `realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`, "", "Circle Of Life", `response="670fd8c2df070c60b045671b8b24ff02"`},
	}
	for _, tt := range tests {
		d := &digest{user: "Mufasa", password: tt.password, method: "GET", uri: "/dir/index.html", cnonce: func() string { return tt.cnonce }}
		got, err := d.Next(t.Context(), tt.challenge)
		if err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
}

func TestDigestExchange(t *testing.T) {
	const (
		fresh = `realm="r", nonce="1", qop="auth"`
		stale = `realm="r", nonce="2", qop="auth", stale=TRUE`
	)
	tests := []struct {
		name       string
		challenges []string
		err        func(error) bool // of the last; nil: answered
	}{
		{"answered", []string{fresh}, nil},
		{"stale is no rejection", []string{fresh, stale}, nil},
		{"stale at first is nothing", []string{stale}, nil},
		{"rejected", []string{fresh, fresh}, rejected},
		{"rejected after stale", []string{fresh, stale, fresh}, rejected},
		{"no challenge any more", []string{fresh, ""}, rejected},
		{"stale for ever", []string{fresh, stale, stale, stale}, func(err error) bool { return err != nil && !rejected(err) }},
	}
	for _, tt := range tests {
		ex, err := Digest("alice", "pw").Begin(t.Context(), Request{Method: "CONNECT", Target: "a:1"})
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, c := range tt.challenges {
			_, last = ex.Next(t.Context(), c)
		}
		if tt.err == nil && last != nil || tt.err != nil && !tt.err(last) {
			t.Errorf("%s: ended with %v", tt.name, last)
		}
	}
}

func TestDigestSupports(t *testing.T) {
	tests := map[string]bool{
		`realm="r", nonce="n"`:                                     true,
		`realm="r", nonce="n", algorithm=md5-sess`:                 true,
		`realm="r", nonce="n", algorithm=SHA-512-256`:              false,
		`realm="r", nonce="n", qop="auth-int"`:                     false,
		`realm="r"`:                                                false,
		`realm="r", nonce="n", qop="auth-int,auth", charset=UTF-8`: true,
	}
	supports := Digest("a", "b").Supports
	for challenge, want := range tests {
		if got := supports(challenge); got != want {
			t.Errorf("%s: got %v, want %v", challenge, got, want)
		}
	}
}
