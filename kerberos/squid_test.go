//go:build linux

package kerberos_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/kerberos"
)

// TestSquidHelper shows our tokens, with tickets of MIT's KDC, to the program that verifies them for
// Squid, as Squid does: "YR <token>" on its standard input. It accepts with "OK token=... user=..." and
// refuses with BH or NA.
func TestSquidHelper(t *testing.T) {
	k := startMIT(t, " allow_rc4 = true\n", realm)
	k.populate(realm)
	right, wrong := k.path("http.keytab"), k.path("stale.keytab")
	b, err := os.ReadFile(right)
	must(t, err)
	must(t, os.WriteFile(wrong, b, 0o600))
	must(t, os.Remove(right))
	k.admin(realm, "ktadd -k "+right+" HTTP/localhost") // new keys: what was written before is stale
	if out, err := k.try(password+"\n", "kinit", "alice"); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	kvno, err := k.try("", "kvno", "HTTP/localhost")
	must(t, err)
	tests := []struct {
		name, keytab, line string
		config             kerberos.Config
		want               string
	}{
		{"password", right, "", kerberos.Config{User: "alice", Password: password}, "alice@" + realm},
		{"keytab", right, "", kerberos.Config{Keytab: k.path("alice.keytab")}, "alice@" + realm},
		{"ticket of kinit", right, "", kerberos.Config{CCache: k.path("cc")}, "alice@" + realm},
		{"aes128", right, "permitted_enctypes = aes128-cts", kerberos.Config{User: "alice", Password: password}, "alice@" + realm},
		{"aes256-sha2", right, "permitted_enctypes = aes256-sha2", kerberos.Config{User: "alice", Password: password}, "alice@" + realm},
		{"aes128-sha2", right, "permitted_enctypes = aes128-sha2", kerberos.Config{User: "alice", Password: password}, "alice@" + realm},
		{"rc4", right, "permitted_enctypes = rc4-hmac", kerberos.Config{User: "alice", Password: password}, "alice@" + realm},
		{"stale keytab", wrong, "", kerberos.Config{User: "alice", Password: password}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Krb5Conf = k.config(tt.line)
			ctx := testContext(t)
			helper := startHelper(t, k.env, "-k", tt.keytab, "-s", "HTTP/localhost@"+realm)
			e, err := newClient(t, tt.config).Begin(ctx, "localhost", nil)
			must(t, err)
			token, err := e.Next(ctx, "")
			must(t, err)
			reply := helper("YR " + token)
			if tt.want == "" {
				if !strings.HasPrefix(reply, "BH") && !strings.HasPrefix(reply, "NA") {
					t.Errorf("got %q, want a refusal", reply)
				}
				return
			}
			final, ok := accepted(reply, tt.want)
			if !ok {
				t.Fatalf("got %q, want OK token=... user=%s", reply, tt.want)
			}
			if err := e.Finish(final); err != nil { // MIT's own AP-REP
				t.Errorf("the helper's final token: %v", err)
			}
			if v := e.Evidence(); !strings.HasSuffix(strings.TrimSpace(kvno), fmt.Sprintf("kvno = %d", v.KVNO)) {
				t.Errorf("evidence %+v, MIT's kvno says %s", v, kvno)
			}
			other, err := newClient(t, tt.config).Begin(ctx, "localhost", nil)
			must(t, err)
			if _, err := other.Next(ctx, ""); err != nil {
				t.Fatal(err)
			}
			if err := other.Finish(final); err == nil {
				t.Error("another exchange takes the same final token, want an error")
			}
		})
	}
}

// startHelper runs Squid's helper and returns a function that sends a line and reads the answer.
func startHelper(t *testing.T, env []string, args ...string) func(line string) string {
	t.Helper()
	peers.Need(t, "negotiate_kerberos_auth")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, peers.Find("negotiate_kerberos_auth"), args...)
	cmd.Env = env
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() }) // it ends with its input
	lines := bufio.NewReader(out)
	return func(line string) string {
		t.Helper()
		_, err := io.WriteString(in, line+"\n")
		must(t, err)
		reply, err := lines.ReadString('\n')
		must(t, err)
		return strings.TrimSpace(reply)
	}
}

// accepted reads the helper's OK and returns the token in it.
func accepted(reply, user string) (token string, ok bool) {
	fields := strings.Fields(reply)
	if len(fields) < 3 || fields[0] != "OK" || fields[2] != "user="+user {
		return "", false
	}
	return strings.CutPrefix(fields[1], "token=")
}
