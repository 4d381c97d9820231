package service

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// good is a configuration without mistakes; $DIR is the test's directory.
const good = `listen: [tcp://127.0.0.1:3478, "tls://[::1]:443"]
cert: $DIR/cert.pem
key: $DIR/key.pem
realm: example.com
users: $DIR/users
auth_secret_file: $DIR/secrets
relay_ip: 127.0.0.1
relay_ports: 50000-50010
allow_peer:
  - 10.0.0.0/8
  - 192.0.2.1
max_connections: 50
drain_timeout: 1m
audit: $DIR/audit
log_format: json
log_level: debug
`

func configDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeCertificate(t, dir, 1, time.Now().Add(time.Hour))
	write(t, dir, "users", "alice:"+alicePassword+"\n")
	write(t, dir, "secrets", firstSecret+"\n")
	return dir
}

func TestLoad(t *testing.T) {
	dir := configDir(t)
	c, err := Load(Sources{File: write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir)+"max_queue_delay: 300ms\n")})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Listeners[0].String(), c.Listeners[1].String(), c.Realm, c.TURN.RelayAddrs[0].Local.String(), c.TURN.RelayPorts.Min, c.TURN.RelayPorts.Max,
		c.TURN.AllowPeers[0].String(), c.TURN.AllowPeers[1].String(), c.TURN.MaxConnections, c.TURN.MaxQueueDelay, c.DrainTimeout, c.LogJSON, c.LogLevel.String(), len(c.Warnings)}
	want := []any{"tcp://127.0.0.1:3478", "tls://[::1]:443", "example.com", "127.0.0.1", uint16(50000), uint16(50010),
		"10.0.0.0/8", "192.0.2.1/32", 50, 300 * time.Millisecond, time.Minute, true, "DEBUG", 0}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, err := os.Stat(c.Audit); !os.IsNotExist(err) {
		t.Errorf("loading left the audit log behind: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	dir := configDir(t)
	file := write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir))
	env := func(name string) string {
		return map[string]string{"TURNGATE_REALM": "env", "TURNGATE_ALLOW_PEER": "10.1.0.0/16, 10.2.0.0/16", "TURNGATE_LOG_LEVEL": ""}[name]
	}
	c, err := Load(Sources{File: file, Env: env, Flags: map[string][]string{"realm": {"flag"}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Realm != "flag" || len(c.TURN.AllowPeers) != 2 || c.TURN.AllowPeers[1].String() != "10.2.0.0/16" || c.LogLevel.String() != "DEBUG" {
		t.Errorf("got realm %s, peers %v, level %v, want that of the flag, those of the environment, that of the file",
			c.Realm, c.TURN.AllowPeers, c.LogLevel)
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name  string
		edit  []string // old, new, ... in the good file
		flags map[string][]string
		env   map[string]string
		want  []string // all lines; $FILE is the configuration, $DIR the directory
	}{
		{name: "several at once, where they stand",
			edit: []string{"realm:", "raelm:", "tcp://127", "udp://127", "50000-50010", "50010-50000", "- 192.0.2.1", "- 192.0.2.1/33", "json", "jsno"},
			want: []string{
				`$FILE:4:1: unknown key "raelm"; did you mean realm?`,
				`$FILE:1:10: listen: "udp://127.0.0.1:3478": want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT`,
				`realm is not set: give --realm, TURNGATE_REALM, or realm in the configuration file`,
				`$FILE:8:14: relay_ports: "50010-50000": want FIRST-LAST, ports from 1 to 65535, such as 49152-65535`,
				`$FILE:11:5: allow_peer: "192.0.2.1/33": want an address range such as 10.20.0.0/16, or an address`,
				`$FILE:15:13: log_format: "jsno": want one of text, json; did you mean json?`,
			}},
		{name: "a dash for an underscore", edit: []string{"relay_ports:", "relay-ports:"},
			want: []string{`$FILE:8:1: unknown key "relay-ports"; did you mean relay_ports?`}},
		{name: "the beginning of a key", edit: []string{"max_connections:", "max:"},
			want: []string{`$FILE:12:1: unknown key "max"; did you mean max_connections?`}},
		{name: "a key like none", edit: []string{"max_connections:", "frobnicate:"}, want: []string{`$FILE:12:1: unknown key "frobnicate"`}},
		{name: "twice", edit: []string{"log_level: debug", "realm: again"}, want: []string{`$FILE:16:1: realm was given in line 4 already`}},
		{name: "a list for one value", edit: []string{"example.com", "[a, b]"},
			want: []string{`$FILE:4:8: realm: want one value`, `realm is not set: give --realm, TURNGATE_REALM, or realm in the configuration file`}},
		{name: "a mapping in a list", edit: []string{"- 192.0.2.1", "- {a: b}"}, want: []string{`$FILE:11:5: allow_peer: want a list of values`}},
		{name: "nothing", edit: []string{"realm: example.com", "realm:"},
			want: []string{`$FILE:4:7: realm has no value`, `realm is not set: give --realm, TURNGATE_REALM, or realm in the configuration file`}},
		{name: "an empty value", edit: []string{"example.com", `""`}, want: []string{`$FILE:4:8: realm: is empty`}},
		{name: "bad syntax", edit: []string{"realm: ", "\t"}, want: []string{`$FILE:4: found a tab character that violates indentation`},
			flags: map[string][]string{"listen": {"tcp://:0"}, "realm": {"r"}, "relay-ip": {"127.0.0.1"}, "users": {"$DIR/users"}}},
		{name: "no mapping", edit: []string{good, "- a\n"}, want: []string{`$FILE:1:1: want a mapping, lines of key: value`},
			flags: map[string][]string{"listen": {"tcp://:0"}, "realm": {"r"}, "relay-ip": {"127.0.0.1"}, "users": {"$DIR/users"}}},
		{name: "two documents", edit: []string{"log_level: debug", "---\na: b"}, want: []string{`$FILE:16:1: a second document: want one`}},
		{name: "a range with bits behind it", edit: []string{"10.0.0.0/8", "10.1.2.3/8"},
			want: []string{`$FILE:10:5: allow_peer: "10.1.2.3/8": the address has bits beyond /8; did you mean 10.0.0.0/8 or 10.1.2.3/32?`}},
		{name: "an IPv4-mapped range", edit: []string{"10.0.0.0/8", "::ffff:10.0.0.0/104"},
			want: []string{`$FILE:10:5: allow_peer: "::ffff:10.0.0.0/104": write it as an IPv4 range`}},
		{name: "from the environment", env: map[string]string{"TURNGATE_ALLOW_PEER": "10.0.0.0/8,10.0.0/8"},
			want: []string{`TURNGATE_ALLOW_PEER: "10.0.0/8": want an address range such as 10.20.0.0/16, or an address`}},
		{name: "from flags", flags: map[string][]string{"max-connections": {"0"}, "drain-timeout": {"3"}, "max-queue-delay": {"1m"}, "relay-ip": {"127.0.0.1", "0.0.0.0", "turn.example.com", "192.0.2.1/::1", "192.0.2.1/10.0.0.256"}},
			want: []string{
				`--relay-ip: "0.0.0.0": want an address of this host that peers reach, or EXTERNAL/LOCAL`,
				`--relay-ip: "turn.example.com": want an address of this host that peers reach, or EXTERNAL/LOCAL`,
				`--relay-ip: "192.0.2.1/::1": one address is IPv4 and the other IPv6`,
				`--relay-ip: "192.0.2.1/10.0.0.256": want an address of this host that peers reach, or EXTERNAL/LOCAL`,
				`--max-connections: "0": want a number from 1 to 1000000`,
				`--max-queue-delay: "1m": want a time such as 30s or 5m, at most 10s`,
				`--drain-timeout: "3": want a time such as 30s or 5m, at most 24h0m0s`}},
		{name: "limits", flags: map[string][]string{"max-user-rate": {"4"}, "max-total-rate": {"1Gbit"}, "max-credential-ttl": {"1ms"},
			"max-connections-per-ip": {"-1"}, "old-channels": {"yes"}, "write-timeout": {"1"}},
			want: []string{
				`--old-channels: "yes": want one of false, true`,
				`--max-connections-per-ip: "-1": want a number from 0 to 1000000`,
				`--max-user-rate: "4": want bits per second such as 500k, 4M or 1G, at least 8k`,
				`--max-total-rate: "1Gbit": want bits per second such as 500k, 4M or 1G, at least 8k`,
				`--max-credential-ttl: "1ms": want at least 1s`,
				`--write-timeout: "1": want a time such as 30s or 5m, at most 1h0m0s`}},
		{name: "peers", flags: map[string][]string{"allow-peer": {"pirvate"}, "deny-peer": {"private"}, "proxy-protocol-from": {"proxy"}},
			want: []string{
				`--allow-peer: "pirvate": want an address range such as 10.20.0.0/16, an address, private or public; did you mean private?`,
				`--deny-peer: "private": want an address range such as 10.20.0.0/16, or an address`,
				`--proxy-protocol-from: "proxy": want an address range such as 10.20.0.0/16, or an address`}},
		{name: "inside and outside", flags: map[string][]string{"allow-peer": {"public", "private", "10.0.0.0/8", "8.0.0.0/8", "127.0.0.1"}, "inside-only": {"true"}},
			want: []string{
				`--allow-peer: "public": is of the internet, which inside-only refuses`,
				`--allow-peer: "8.0.0.0/8": is of the internet, which inside-only refuses`}},
		{name: "no time to queue at all", flags: map[string][]string{"max-queue-delay": {"1ms"}}, want: []string{`--max-queue-delay: "1ms": want at least 10ms`}},
		{name: "listeners", flags: map[string][]string{"listen": {"tcp://127.0.0.1:1", "tls://127.0.0.1:1", "tcp://127.0.0.1", "tcp://a:b:1", "tcp://h:x", "tcp://h:65536", "h:1", "tcp://u@h:1"}},
			want: []string{
				`--listen: 127.0.0.1:1 is listened on already`,
				`--listen: "tcp://127.0.0.1": want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT`,
				`--listen: "tcp://a:b:1": want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT`,
				`--listen: "tcp://h:x": port "x" is not a number up to 65535`,
				`--listen: "tcp://h:65536": port "65536" is not a number up to 65535`,
				`--listen: "h:1": want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT`,
				`--listen: "tcp://u@h:1": want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT`}},
		{name: "TLS without a certificate", edit: []string{"cert: $DIR/cert.pem\n", "", "key: $DIR/key.pem\n", ""},
			want: []string{
				`cert is not set and there is a tls:// or auto:// listener: give --cert, TURNGATE_CERT, or cert in the configuration file`,
				`key is not set and there is a tls:// or auto:// listener: give --key, TURNGATE_KEY, or key in the configuration file`}},
		{name: "nobody", edit: []string{"users: $DIR/users\n", "", "auth_secret_file: $DIR/secrets\n", ""},
			want: []string{`nobody could allocate: give --users or --auth-secret-file`}},
		{name: "files", edit: []string{"/users", "/absent", "/secrets", "/cert.pem", "audit: $DIR/audit", "audit: $DIR/no/audit", "key.pem", "cert.pem"},
			want: []string{
				`$FILE:14:8: audit: stat $DIR/no: no such file or directory`,
				`$FILE:5:8: users: open $DIR/absent: no such file or directory`,
				`$FILE:2:7: cert: certificate $DIR/cert.pem with key $DIR/cert.pem: tls: found a certificate rather than a key in the PEM for the private key`}},
		{name: "a realm that breaks out", edit: []string{"example.com", `'a"b'`},
			want: []string{`$FILE:4:8: realm: want a name of at most 763 bytes without quotation marks, backslashes and control characters`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := configDir(t)
			text := strings.NewReplacer("$DIR", dir).Replace(strings.NewReplacer(tt.edit...).Replace(good))
			file := write(t, dir, "c.yaml", text)
			place := strings.NewReplacer("$FILE", file, "$DIR", dir)
			for _, list := range tt.flags {
				for i := range list {
					list[i] = place.Replace(list[i])
				}
			}
			_, err := Load(Sources{File: file, Flags: tt.flags, Env: func(name string) string { return tt.env[name] }})
			got, want := "", place.Replace(strings.Join(tt.want, "\n"))
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			var ce *ConfigError
			if !errors.As(err, &ce) || len(ce.Problems) != len(tt.want) {
				t.Errorf("got %T, want a ConfigError with %d problems", err, len(tt.want))
			}
		})
	}
}

// A relay address of another host shows at once, not when clients allocate.
func TestRelayAddressMustBeOurs(t *testing.T) {
	dir := configDir(t)
	file := write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir))
	_, err := Load(Sources{File: file, Flags: map[string][]string{"relay-ip": {"192.0.2.200"}}})
	if err == nil || !strings.HasPrefix(err.Error(), "--relay-ip: is 192.0.2.200 an address of this host? ") {
		t.Errorf("got %v, want that the address is not the host's", err)
	}
}

func TestWarnings(t *testing.T) {
	dir := configDir(t)
	writeCertificate(t, dir, 1, time.Now().Add(-time.Hour))
	users := filepath.Join(dir, "users")
	if err := os.Chmod(users, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Sources{File: write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir))})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.Warnings, "\n")
	for _, want := range []string{users + " can be read by everybody (mode 0644)", "cert.pem is valid from"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in the warnings:\n%s", want, got)
		}
	}
	if len(c.Warnings) != 2 {
		t.Errorf("got %d warnings, want 2", len(c.Warnings))
	}
}

// The line of bad syntax is the one to mend.
func TestSyntaxErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"realm: b\nusers: d\n\te: f\nkey: h\n", "f:3: found a tab character that violates indentation"},
		{"realm: b\nusers: [d\nkey: f\n", "f:2: did not find expected ',' or ']'"},
		{"realm: b\nusers: 'd\nkey: f\n", "f:2: found unexpected end of stream"},
		{"realm: b\nusers\nkey: e\n", "f:2: could not find expected ':'"},
		{"realm: b: c\n", "f:1: mapping values are not allowed in this context"},
		{"realm: b\nusers: *d\n", "f:2: unknown anchor 'd' referenced"},
		{"realm: b\n---\n\"\\q\"\n", "f:3: found unknown escape character"},
		{strings.Repeat("\n", maxLines) + "realm: b: c", "f: mapping values are not allowed in this context"},
	}
	for _, tt := range tests {
		_, problems := parseFile("f", []byte(tt.text))
		if got := lineErrors(problems); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%.40q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestLimitWarning(t *testing.T) {
	const want = "the process may open 1024 files, and 1000 connections with a relay each need 2064 (ulimit -n, LimitNOFILE=)"
	if got := limitWarning(1024, 1000); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, limit := range []uint64{0, 2064, 1 << 63} {
		if got := limitWarning(limit, 1000); got != "" {
			t.Errorf("%d: got %q, want none", limit, got)
		}
	}
}

func TestCertificateOfAnotherKey(t *testing.T) {
	dir, other := configDir(t), configDir(t)
	file := write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir))
	key := filepath.Join(other, "key.pem")
	_, err := Load(Sources{File: file, Flags: map[string][]string{"key": {key}}})
	if err == nil || !strings.Contains(err.Error(), "with key "+key+": tls: private key does not match public key") {
		t.Errorf("got %v, want that the key does not match", err)
	}
}

// Whatever a file holds is a value or a problem with a place.
func FuzzParseFile(f *testing.F) {
	for _, seed := range []string{good, "", "a", "- a", "listen:\n- a\n- [b]", "a: &x b\nc: *x", "listen: {a: b}", "? [a]\n: b", "realm: !!binary aGk=", "\t", "a: b\n---\nc: d"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		values, problems := parseFile("f", text)
		for name, list := range values {
			if len(list) == 0 || !strings.HasPrefix(list[0].at, "f:") || !isSetting(name) {
				t.Errorf("%q: got %v", name, list)
			}
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Error(), "f:") {
				t.Errorf("no place in %q", p)
			}
		}
	})
}

func isSetting(name string) bool {
	for _, n := range SettingNames() {
		if n == name {
			return true
		}
	}
	return false
}

// Whatever prefix is taken means what is written: no bits are cut off.
func FuzzParsePrefix(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:1.2.3.4/128", "0.0.0.0/0", "10.0.0.0/08"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePrefix(text)
		if err == nil && (!p.IsValid() || p.Masked() != p || p.Addr().Is4In6() || p.Addr().Zone() != "") {
			t.Errorf("%q: got %v", text, p)
		}
	})
}

func FuzzParseListener(f *testing.F) {
	for _, seed := range []string{"tcp://:1", "tls://[::1]:443", "tcp://a", "udp://a:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := parseListener(text); err == nil && l.String() != text {
			t.Errorf("%q: got %v", text, l)
		}
	})
}

// Every setting that is the server's own reaches it.
func TestServerSettings(t *testing.T) {
	dir := configDir(t)
	c, err := Load(Sources{File: write(t, dir, "c.yaml", strings.ReplaceAll(good, "$DIR", dir)+`max_credential_ttl: 24h
deny_peer: 10.9.0.0/16
inside_only: false
old_channels: true
proxy_protocol_from: [10.0.0.1, 10.0.1.0/24]
max_connections_per_ip: 1
max_handshakes: 2
max_user_allocations: 3
max_permissions: 4
max_channels: 5
max_user_rate: 4M
max_total_rate: 1G
max_queue_delay: 20ms
handshake_timeout: 6s
request_timeout: 7s
write_timeout: 8s
`), Flags: map[string][]string{"relay-ip": {"192.0.2.1/127.0.0.1", "127.0.0.2"}, "allow-peer": {"private", "192.0.2.7"}}})
	if err != nil {
		t.Fatal(err)
	}
	prefix := func(list ...string) (all []netip.Prefix) {
		for _, p := range list {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	want := turntcp.Config{
		Realm: "example.com",
		RelayAddrs: []turntcp.RelayAddr{
			{Local: netip.MustParseAddr("127.0.0.1"), Public: netip.MustParseAddr("192.0.2.1")},
			{Local: netip.MustParseAddr("127.0.0.2")},
		},
		RelayPorts: turntcp.PortRange{Min: 50000, Max: 50010},
		AllowPeers: append(turntcp.PrivatePeers(), prefix("192.0.2.7/32")...), DenyPeers: prefix("10.9.0.0/16"),
		OldChannels: true, ProxyProtocolFrom: prefix("10.0.0.1/32", "10.0.1.0/24"),
		MaxConnections: 50, MaxConnectionsPerIP: 1, MaxHandshakes: 2, MaxAllocations: 3, MaxPermissions: 4, MaxChannels: 5,
		UserRate: 4e6, TotalRate: 1e9, MaxCredentialTTL: 24 * time.Hour, MaxQueueDelay: 20 * time.Millisecond,
		HandshakeTimeout: 6 * time.Second, FirstRequestTimeout: 7 * time.Second, WriteTimeout: 8 * time.Second,
	}
	if !reflect.DeepEqual(c.TURN, want) {
		t.Errorf("got  %+v\nwant %+v", c.TURN, want)
	}
	env := map[string]string{"TURNGATE_INSIDE_ONLY": "true", "TURNGATE_LISTEN": "auto://:0"}
	c, err = Load(Sources{File: write(t, dir, "c.yaml", strings.ReplaceAll(good, "  - 192.0.2.1\n", "")), Env: func(name string) string { return env[name] },
		Flags: map[string][]string{"cert": {dir + "/cert.pem"}, "key": {dir + "/key.pem"}, "users": {dir + "/users"},
			"auth-secret-file": {dir + "/secrets"}, "audit": {dir + "/audit"}}})
	if err != nil || !c.TURN.InsideOnly || c.Listeners[0].String() != "auto://:0" {
		t.Errorf("got %+v, %v, want inside only on auto://:0", c, err)
	}
}
