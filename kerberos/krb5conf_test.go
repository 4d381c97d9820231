package kerberos

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const sampleConf = `# comment
includedir DIR/conf.d
[libdefaults]
	default_realm = CORP.EXAMPLE
	default_realm = SECOND.EXAMPLE
	udp_preference_limit = 1
	dns_lookup_kdc = no
	permitted_enctypes = aes256-cts, aes128-cts camellia256-cts rc4
	default_tgs_enctypes = DEFAULT -rc4
	default_ccache_name = KEYRING:persistent:%{uid}
	unknown = whatever
[realms]
	CORP.EXAMPLE = {
		kdc = kdc1.corp.example
		kdc = kdc2.corp.example:750
		admin_server = kdc1.corp.example
		auth_to_local_names = {
			root = nobody
		}
	}
	OTHER.EXAMPLE = {
		kdc* = tcp/[2001:db8::1]:88
	}
; another comment
[domain_realm]
	.corp.example = CORP.EXAMPLE
	Proxy.Corp.Example = "PROXY.EXAMPLE"
	example = TOP.EXAMPLE
[appdefaults]
	pam = { 
	}
`

func TestKrb5Conf(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "conf.d", "extra"), "[realms]\n EXTRA.EXAMPLE = {\n kdc = kdc.extra.example\n }\n")
	writeFile(t, filepath.Join(dir, "conf.d", "ignored~"), "this is no configuration")
	path := filepath.Join(dir, "krb5.conf")
	writeFile(t, path, strings.ReplaceAll(sampleConf, "DIR", dir))
	c, err := loadKrb5Conf(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"default_realm", c.defaultRealm, "CORP.EXAMPLE"},
		{"udp_preference_limit", c.udpLimit, 1},
		{"dns_lookup_kdc", c.lookupKDC, false},
		{"types of logins", c.asEtypes(), []int32{18, 17, 23}},
		{"types of service tickets", c.tgEtypes(), []int32{18, 17, 20, 19}},
		{"default_ccache_name", c.defaultCCache, "KEYRING:persistent:%{uid}"},
		{"kdcs", c.kdcs, map[string][]string{
			"CORP.EXAMPLE":  {"kdc1.corp.example", "kdc2.corp.example:750"},
			"OTHER.EXAMPLE": {"tcp/[2001:db8::1]:88"},
			"EXTRA.EXAMPLE": {"kdc.extra.example"},
		}},
		{"realm of a host", c.realmOf("PROXY.corp.example"), "PROXY.EXAMPLE"},
		{"realm of a domain", c.realmOf("a.b.corp.example"), "CORP.EXAMPLE"},
		{"realm of a domain without dot", c.realmOf("www.example"), "TOP.EXAMPLE"},
		{"realm of a stranger", c.realmOf("www.test"), ""},
		{"realm of nothing", c.realmOf(""), ""},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestKrb5ConfErrors(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	writeFile(t, loop, "include "+loop+"\n")
	for _, tt := range []struct{ name, text, want string }{
		{"no section", "\nkdc = x\n", "line 2: want name = value inside a section"},
		{"section", "[realms\n", "line 1: section without ]"},
		{"brace", "[realms]\n}\n", "line 2: } without {"},
		{"bool", "[libdefaults]\ndns_lookup_kdc = maybe\n", `line 2: dns_lookup_kdc: "maybe" is neither true nor false`},
		{"number", "[libdefaults]\nudp_preference_limit = x\n", "line 2: udp_preference_limit: "},
		{"etypes", "[libdefaults]\npermitted_enctypes = des\n", `line 2: permitted_enctypes: "des" names no encryption type`},
		{"include", "include /does/not/exist\n\n", "line 1: krb5.conf: open /does/not/exist"},
		{"include of itself", "include " + loop + "\n\n", "nested more than 8 deep"},
		{"file", "/does/not/exist", "none of these files exists: /does/not/exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadKrb5Conf(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestKrb5ConfEnvironment(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	writeFile(t, first, "[libdefaults]\ndefault_realm = A\n")
	writeFile(t, second, "[libdefaults]\ndefault_realm = B\nudp_preference_limit = 7\n")
	t.Setenv("KRB5_CONFIG", first+":"+filepath.Join(dir, "absent")+":"+second)
	c, err := loadKrb5Conf("")
	if err != nil || c.defaultRealm != "A" || c.udpLimit != 7 {
		t.Errorf("got %+v, %v, want realm A of the first file and limit 7 of the second", c, err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
