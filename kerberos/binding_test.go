//go:build linux

package kerberos_test

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

const channel, otherChannel = "tls-server-end-point:0123456789abcdef", "tls-server-end-point:fedcba9876543210"

// TestChannelBindingAgainstMIT shows tokens bound to a channel to MIT's library, and MIT's tokens to
// our acceptor.
func TestChannelBindingAgainstMIT(t *testing.T) {
	peers.Need(t, "gcc", "libgssapi_krb5.so.2", "kinit")
	k := startMIT(t, "", realm)
	k.populate(realm)
	if out, err := k.try(password+"\n", "kinit", "alice"); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	k.env = append(k.env, "KRB5_KTNAME=FILE:"+k.path("http.keytab"))
	peer := k.path("gsspeer")
	if out, err := exec.Command("gcc", "-o", peer, "testdata/gsspeer.c", peers.Find("libgssapi_krb5.so.2")).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	keytab, err := os.ReadFile(k.path("http.keytab"))
	must(t, err)
	tests := []struct {
		name, client, server string
		require              bool // our acceptor's option; MIT's library has none
		wantMIT, wantOurs    bool
	}{
		{"no TLS", "", "", false, true, true},
		{"no TLS, binding required", "", "", true, true, true},
		{"bound", channel, channel, true, true, true},
		{"bound to another channel", channel, otherChannel, false, false, false},
		{"unbound client", "", channel, false, true, true},
		{"unbound client, binding required", "", channel, true, true, false},
		{"unbound server", channel, "", true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := testContext(t)
			client := newClient(t, kerberos.Config{CCache: k.path("cc"), Krb5Conf: k.read("krb5.conf")})
			e, err := client.Begin(ctx, "localhost", []byte(tt.client))
			must(t, err)
			token, err := e.Next(ctx, "")
			must(t, err)
			raw, err := base64.StdEncoding.DecodeString(token)
			must(t, err)
			out, err := k.try(hex.EncodeToString(raw), peer, "accept", "HTTP@localhost", tt.server)
			if (err == nil) != tt.wantMIT {
				t.Errorf("our token, MIT accepts: got %v (%q), want %v", err == nil, strings.TrimSpace(out), tt.wantMIT)
			}

			out = k.run(peer, "init", "HTTP@localhost", tt.client)
			raw, err = hex.DecodeString(strings.TrimSpace(out))
			must(t, err)
			acceptor := &kerberostest.Acceptor{Keytab: keytab, RequireChannelBinding: tt.require}
			_, user, err := acceptor.New([]byte(tt.server)).Accept(base64.StdEncoding.EncodeToString(raw))
			if (err == nil) != tt.wantOurs || tt.wantOurs && user != "alice@"+realm {
				t.Errorf("MIT's token, we accept: got %q, %v, want %v", user, err, tt.wantOurs)
			}
		})
	}
}
