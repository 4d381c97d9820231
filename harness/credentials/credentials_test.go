package credentials

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/turngate/turngate/proxyconnect"
)

const krb5Conf = "[libdefaults]\n default_realm = EXAMPLE.TEST\n[realms]\n EXAMPLE.TEST = {\n  kdc = 127.0.0.1:1\n }\n"

func TestApply(t *testing.T) {
	full := Spec{User: "alice", Password: "pw", Krb5Conf: krb5Conf}
	with := func(change func(*Spec)) Spec { s := full; change(&s); return s }
	tests := []struct {
		name  string
		spec  Spec
		want  []string // scheme/name of each mechanism
		basic bool     // allowed over http
		err   string
	}{
		{name: "auto", spec: full, want: []string{"Negotiate/Kerberos", "NTLM/NTLM", "Negotiate/NTLM in Negotiate", "Digest/", "Basic/"}},
		{name: "auto, Basic permitted", spec: with(func(s *Spec) { s.AllowBasicOverHTTP = true }), basic: true,
			want: []string{"Negotiate/Kerberos", "NTLM/NTLM", "Negotiate/NTLM in Negotiate", "Digest/", "Basic/"}},
		{name: "Basic named", spec: with(func(s *Spec) { s.Auth = "Basic" }), want: []string{"Basic/"}, basic: true},
		{name: "in the order given", spec: with(func(s *Spec) { s.Auth = "digest, ntlm" }), want: []string{"Digest/", "NTLM/NTLM"}},
		{name: "negotiate is both", spec: with(func(s *Spec) { s.Auth = "negotiate" }), want: []string{"Negotiate/Kerberos", "Negotiate/NTLM in Negotiate"}},
		{name: "none", spec: with(func(s *Spec) { s.Auth = "none" })},
		{name: "none among others", spec: with(func(s *Spec) { s.Auth = "none,basic" }), err: "none"},
		{name: "unknown", spec: with(func(s *Spec) { s.Auth = "kerberos5" }), err: "kerberos5"},
		{name: "named without password", spec: Spec{Auth: "ntlm", User: "alice"}, err: "authentication ntlm: needs a user"},
		{name: "bad hash", spec: Spec{Auth: "ntlm", User: "alice", NTHash: "beef"}, err: "32 hexadecimal digits"},
	}
	for _, tt := range tests {
		var d proxyconnect.Dialer
		err := tt.spec.Apply(&d)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got error %v, want %q", tt.name, err, tt.err)
			}
			continue
		}
		var got []string
		for _, m := range d.Mechanisms {
			got = append(got, m.Scheme+"/"+m.Name)
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) || d.AllowBasicOverHTTP != tt.basic {
			t.Errorf("%s: got %q, Basic over http %v, %v\nwant %q, %v", tt.name, got, d.AllowBasicOverHTTP, err, tt.want, tt.basic)
		}
	}
}

// One rejection must end every mechanism that uses the same password.
func TestOnePasswordIsOneCredential(t *testing.T) {
	var d proxyconnect.Dialer
	s := Spec{User: "alice", Password: "pw", Krb5Conf: krb5Conf}
	if err := s.Apply(&d); err != nil {
		t.Fatal(err)
	}
	for _, m := range d.Mechanisms {
		if m.Credential != d.Mechanisms[0].Credential || m.Credential == "" {
			t.Errorf("%s %s has credential %q, the first has %q", m.Scheme, m.Name, m.Credential, d.Mechanisms[0].Credential)
		}
	}
}

// With nothing at hand, auto must give way everywhere instead of sending empty passwords.
func TestAutoWithNothing(t *testing.T) {
	t.Setenv("KRB5_CONFIG", filepath.Join(t.TempDir(), "absent"))
	t.Setenv("KRB5CCNAME", "FILE:"+filepath.Join(t.TempDir(), "absent"))
	var d proxyconnect.Dialer
	if err := (Spec{}).Apply(&d); err != nil {
		t.Fatal(err)
	}
	for _, m := range d.Mechanisms {
		ex, err := m.Begin(t.Context(), proxyconnect.Request{Method: "CONNECT", Target: "a:1", ProxyHost: "localhost"})
		if err == nil {
			_, err = ex.Next(t.Context(), `realm="r", nonce="n"`)
		}
		var n interface{ NoCredential() bool }
		if !errors.As(err, &n) || !n.NoCredential() {
			t.Errorf("%s %s: got %v, want an error that says there is no credential", m.Scheme, m.Name, err)
		}
	}
}

func TestKerberosConfig(t *testing.T) {
	tests := []struct {
		name              string
		spec              Spec
		user, realm, with string
	}{
		{"plain", Spec{User: "alice", Password: "pw"}, "alice", "", "password"},
		{"NetBIOS domain", Spec{User: `CORP\alice`, Password: "pw"}, "alice", "", "password"},
		{"UPN", Spec{User: "alice@corp.example", Password: "pw"}, "alice", "CORP.EXAMPLE", "password"},
		{"UPN and realm", Spec{User: "alice@corp.example", Password: "pw", Realm: "AD.EXAMPLE"}, "alice", "AD.EXAMPLE", "password"},
		{"keytab before password", Spec{User: "alice", Password: "pw", Keytab: "/k"}, "alice", "", "keytab"},
		{"cache before all", Spec{User: `CORP\alice`, Password: "pw", Keytab: "/k", CCache: "/c"}, "", "", "cache"},
		{"default cache", Spec{User: "alice"}, "", "", "default"},
	}
	for _, tt := range tests {
		c := tt.spec.kerberosConfig()
		with := "default"
		switch {
		case c.CCache != "":
			with = "cache"
		case c.Keytab != "":
			with = "keytab"
		case c.Password != "":
			with = "password"
		}
		if c.User != tt.user || c.Realm != tt.realm || with != tt.with {
			t.Errorf("%s: got %q %q by %s, want %q %q by %s", tt.name, c.User, c.Realm, with, tt.user, tt.realm, tt.with)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := Spec{User: "alice", Password: "s3cret", NTHash: "0123"}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "spec", s, "password", s.Password)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), string(j), log.String()} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "0123") {
			t.Errorf("a secret shows in %s", text)
		}
	}
}

func TestReadSecret(t *testing.T) {
	tests := []struct{ name, content, want, err string }{
		{"plain", "pw", "pw", ""},
		{"with a line end", "pw\n", "pw", ""},
		{"of Windows", "pw\r\n", "pw", ""},
		{"spaces belong to it", " p w \n\n", " p w ", ""},
		{"empty", "\n", "", "is empty"},
		{"more lines", "pw\nmore\n", "", "more than one line"},
		{"too long", strings.Repeat("a", maxSecret+1), "", "more than one line"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(path)
		if tt.err == "" && (err != nil || string(got) != tt.want) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, string(got), err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: got error %v, want %q with the path", tt.name, err, tt.err)
		}
	}
	if _, err := ReadSecret("/nonexistent/secret"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: got %v", err)
	}
}
