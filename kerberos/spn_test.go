package kerberos_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// TestServiceNames: the name as given, then the canonical one, and never an address.
func TestServiceNames(t *testing.T) {
	kdc := startKDC(t, 18)
	must(t, kdc.AddService("HTTP/proxy.example.test"))
	must(t, kdc.AddService("HTTP/Mixed.Example.Test"))
	cnames := map[string]string{
		"proxy": "proxy.example.test.", "alias.example.test": "proxy.example.test.",
		"mixed.example.test": "Mixed.Example.Test.", "nowhere": "nowhere.example.test.",
	}
	only := func(spns ...string) func(string) []string { return func(string) []string { return spns } }
	for _, tt := range []struct {
		name, host string
		spns       func(string) []string
		want       string // the service principal, or a part of the error
		absent     bool
	}{
		{"as given", "proxy.example.test", nil, "HTTP/proxy.example.test", false},
		{"trailing dot", "proxy.example.test.", nil, "HTTP/proxy.example.test", false},
		{"capitals", "PROXY.Example.Test", nil, "HTTP/proxy.example.test", false},
		{"capitals in the principal", "Mixed.Example.Test", nil, "HTTP/Mixed.Example.Test", false},
		{"capitals in DNS", "mixed.example.test", nil, "HTTP/Mixed.Example.Test", false},
		{"short", "proxy", nil, "HTTP/proxy.example.test", false},
		{"alias", "alias.example.test", nil, "HTTP/proxy.example.test", false},
		{"unknown", "nowhere", nil, "tried HTTP/nowhere, HTTP/nowhere.example.test", true},
		{"not in DNS", "gone.example.test", nil, "tried HTTP/gone.example.test", true},
		{"address", "192.0.2.7", nil, "192.0.2.7; configure the proxy by the name", true},
		{"IPv6 address", "[2001:db8::7]", nil, "there are no service principals for an address", true},
		{"empty", "", nil, "no service principal", true},
		{"override", "192.0.2.7", only("HTTP/none", "HTTP/proxy.example.test@"+realm), "HTTP/proxy.example.test@" + realm, false},
		{"override with nothing", "proxy", only(), "no service principal", true},
		{"override unknown", "proxy", only("HTTP/none"), "tried HTTP/none", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, kerberos.Config{
				User: "alice", Password: password, Krb5Conf: kdc.Config(), SPNs: tt.spns,
				LookupCNAME: func(_ context.Context, host string) (string, error) {
					if name, ok := cnames[host]; ok {
						return name, nil
					}
					return "", errors.New("no such host")
				},
			})
			e, err := client.Begin(testContext(t), tt.host, nil)
			if err == nil {
				if e.SPN() != tt.want {
					t.Errorf("got %s, want %s", e.SPN(), tt.want)
				}
				return
			}
			if noCredential(err) != tt.absent || !tt.absent || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q and absent %v", err, tt.want, tt.absent)
			}
		})
	}
}

// startRealms starts a KDC per realm, each trusting the next, where the last has HTTP/localhost.
// Every KDC refers to the next one for localhost and for the last realm.
func startRealms(t *testing.T, names ...string) []*kerberostest.KDC {
	t.Helper()
	var kdcs []*kerberostest.KDC
	for _, name := range names {
		kdc := &kerberostest.KDC{Realm: name, Etypes: []int32{18}}
		must(t, kdc.Start())
		t.Cleanup(func() { kdc.Close() })
		kdcs = append(kdcs, kdc)
	}
	for i := range kdcs[:len(kdcs)-1] {
		must(t, kdcs[i].Trust(kdcs[i+1], "localhost", names[len(names)-1]))
	}
	must(t, kdcs[0].AddUser("alice", password))
	must(t, kdcs[len(kdcs)-1].AddService(proxySPN))
	return kdcs
}

// TestReferrals leads over several realms, with the realm of the service known and unknown.
func TestReferrals(t *testing.T) {
	for _, tt := range []struct {
		name, domain string // the realm that krb5.conf gives for localhost
		want         string // "" for success
	}{
		{"realm not known", "", ""},
		{"realm known", "C.TEST", ""},
		{"wrong realm", "X.TEST", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kdcs := startRealms(t, "A.TEST", "B.TEST", "C.TEST")
			conf, _, _ := strings.Cut(kdcs[0].Config(), "[domain_realm]")
			if tt.domain != "" {
				conf += "[domain_realm]\nlocalhost = " + tt.domain + "\n"
			}
			client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: conf})
			user, err := handshake(testContext(t), client, newAcceptor(t, kdcs[2]), "localhost", nil, nil)
			if err != nil || user != "alice@A.TEST" {
				t.Errorf("got user %q and error %v, want alice@A.TEST", user, err)
			}
		})
	}
}

// TestReferralCircle has two realms that send the client to each other.
func TestReferralCircle(t *testing.T) {
	kdcs := startRealms(t, "A.TEST", "B.TEST")
	must(t, kdcs[0].Trust(kdcs[1], "elsewhere"))
	must(t, kdcs[1].Trust(kdcs[0], "elsewhere"))
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdcs[0].Config()})
	_, err := client.Begin(testContext(t), "elsewhere", nil)
	if err == nil || !strings.Contains(err.Error(), "A.TEST, B.TEST, A.TEST refer in a circle") {
		t.Errorf("got %v, want that the realms refer in a circle", err)
	}
}
