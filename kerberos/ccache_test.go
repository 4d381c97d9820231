package kerberos_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// TestCCacheErrors: whatever is wrong with the cache, there is no credential, and the error names
// the file.
func TestCCacheErrors(t *testing.T) {
	sample, err := os.ReadFile("testdata/kinit.ccache")
	must(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "cc")
	when := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		content []byte
		config  kerberos.Config
		now     time.Time
		want    string
	}{
		{"absent", nil, kerberos.Config{}, when, "there is no credential cache " + path},
		{"empty", []byte{}, kerberos.Config{}, when, "not a credential cache"},
		{"old version", []byte{5, 1, 0, 0}, kerberos.Config{}, when, "version 1"},
		{"another user", sample, kerberos.Config{User: "bob"}, when, "is of alice@" + realm},
		{"another realm", sample, kerberos.Config{Realm: "X"}, when, "is of alice@" + realm},
		{"expired", sample, kerberos.Config{}, when.AddDate(1, 0, 0), "alice@" + realm + " in " + path + " expired at 2026-11-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(path)
			if tt.content != nil {
				must(t, os.WriteFile(path, tt.content, 0o600))
			}
			tt.config.CCache, tt.config.Krb5Conf, tt.config.Dial = path, "[libdefaults]\n\n", noDial
			tt.config.Now = func() time.Time { return tt.now }
			_, err := newClient(t, tt.config).Begin(testContext(t), "nowhere.example.test", nil)
			if !noCredential(err) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want NoCredential, %q and the path", err, tt.want)
			}
		})
	}
	t.Run("truncated anywhere", func(t *testing.T) {
		client := newClient(t, kerberos.Config{CCache: path, Krb5Conf: "[libdefaults]\n\n", Dial: noDial, Now: func() time.Time { return when }})
		for n := range len(sample) {
			must(t, os.WriteFile(path, sample[:n], 0o600))
			if _, err := client.Begin(testContext(t), "nowhere.example.test", nil); err == nil {
				t.Errorf("cut after %d of %d bytes: got no error", n, len(sample))
			}
		}
	})
}

// TestCCacheDefaults finds the cache as kinit would.
func TestCCacheDefaults(t *testing.T) {
	dir := t.TempDir()
	conf := "[libdefaults]\ndefault_ccache_name = FILE:" + dir + "/from-conf-%{uid}\n"
	for _, tt := range []struct{ name, env, conf, want string }{
		{"environment", "FILE:" + dir + "/from-env", conf, dir + "/from-env"},
		{"krb5.conf", "", conf, dir + "/from-conf-"},
		{"built in", "", "[libdefaults]\n\n", "/tmp/krb5cc_"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("KRB5CCNAME", tt.env)
			client := newClient(t, kerberos.Config{User: "nobody-of-this-name", Krb5Conf: tt.conf, Dial: noDial})
			_, err := client.Begin(context.Background(), "localhost", nil)
			if !noCredential(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want NoCredential and %s", err, tt.want)
			}
		})
	}
	t.Setenv("KRB5CCNAME", "KCM:")
	if _, err := kerberos.New(kerberos.Config{Krb5Conf: conf}); !noCredential(err) {
		t.Errorf("KRB5CCNAME=KCM: got %v, want NoCredential", err)
	}
}

// TestRecordedCache uses what MIT's kinit, kvno and ktadd wrote once: a service ticket and the key
// that opens it.
func TestRecordedCache(t *testing.T) {
	keytab, err := os.ReadFile("testdata/http.keytab")
	must(t, err)
	when := func() time.Time { return time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC) }
	client := newClient(t, kerberos.Config{CCache: "testdata/kinit.ccache", Krb5Conf: "[libdefaults]\n\n", Dial: noDial, Now: when})
	user, err := handshake(testContext(t), client, &kerberostest.Acceptor{Keytab: keytab, Now: when}, "localhost", nil, nil)
	if err != nil || user != "alice@"+realm {
		t.Errorf("got %q, %v, want alice@%s", user, err, realm)
	}
}
