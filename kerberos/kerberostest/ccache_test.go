package kerberostest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// MIT's kvno gets a service ticket with our cache, and says of an expired one that it has expired.
func TestCCacheForMIT(t *testing.T) {
	peers.Need(t, "kvno")
	kdc := &kerberostest.KDC{Realm: "CCACHE.TEST"}
	for _, err := range []error{kdc.AddUser("alice", "pw"), kdc.AddService("HTTP/localhost"), kdc.Start()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer kdc.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(conf, []byte(kdc.Config()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		says     string
		fails    bool
	}{
		{"valid", time.Hour, "HTTP/localhost@CCACHE.TEST: kvno = 1", false},
		{"expired", -time.Hour, "expired", true},
	} {
		cache, err := kdc.CCache("alice", tt.lifetime)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, cache, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "kvno", "HTTP/localhost")
		cmd.Env = append(os.Environ(), "KRB5_CONFIG="+conf, "KRB5CCNAME=FILE:"+path)
		out, err := cmd.CombinedOutput()
		if (err != nil) != tt.fails || !strings.Contains(strings.ToLower(string(out)), strings.ToLower(tt.says)) {
			t.Errorf("%s: %v, %s; want %q", tt.name, err, out, tt.says)
		}
	}
	if _, err := kdc.CCache("nobody", time.Hour); err == nil {
		t.Error("a cache for a user who is not there")
	}
}
