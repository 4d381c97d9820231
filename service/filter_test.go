package service

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestParseWhere(t *testing.T) {
	tests := []struct{ text, has, hasNot string }{
		{"10.1.2.3", "10.1.2.3:5", "10.1.2.4:5"},
		{"10.1.2.3:5", "10.1.2.3:5", "10.1.2.3:6"},
		{"10.0.0.0/8", "10.1.2.3:5", "11.1.2.3:5"},
		{"[2001:db8::1]:5", "[2001:db8::1]:5", "[2001:db8::1]:6"},
		{"2001:db8::/32", "[2001:db8::1]:5", "10.1.2.3:5"},
	}
	for _, tt := range tests {
		w, err := parseWhere(tt.text)
		if err != nil || !w.has(netip.MustParseAddrPort(tt.has)) || w.has(netip.MustParseAddrPort(tt.hasNot)) {
			t.Errorf("%s: %v, has %s: %v, has %s: %v", tt.text, err, tt.has, w.has(netip.MustParseAddrPort(tt.has)),
				tt.hasNot, w.has(netip.MustParseAddrPort(tt.hasNot)))
		}
	}
	for _, bad := range []string{"", "x", "10.0.0.1/8", "10.0.0.1:0", "10.0.0.1:70000", "fe80::1%eth0", "[fe80::1%eth0]:5"} {
		if w, err := parseWhere(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, w)
		}
	}
}

func TestParseControl(t *testing.T) {
	tests := []struct{ filter, kill string }{ // the errors
		{"a=%", "invalid URL escape"},
		{"user=", "one value"},
		{"user=a&user=b", "one value"},
		{"users=a", "no such key"},
		{"user=" + strings.Repeat("x", maxQuery), "more than 4096 bytes"},
	}
	for _, tt := range tests {
		if _, err := parseFilter(tt.filter); err == nil || !strings.Contains(err.Error(), tt.kill) {
			t.Errorf("%.20s: got %v, want %q", tt.filter, err, tt.kill)
		}
	}
	for _, bad := range []string{"", "connection=0", "connection=-1", "connection=x", "connection=1&user=a", "relay=1.2.3.4"} {
		if k, err := parseKill(bad); err == nil {
			t.Errorf("kill %s: got %+v, want an error", bad, k)
		}
	}
	if k, err := parseKill("connection=17"); err != nil || k != (kill{connection: 17}) {
		t.Errorf("got %+v, %v", k, err)
	}
}

// What is taken says whom to kill, or chooses by what it names, and nothing else.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{"user=alice", "connection=1", "client=10.0.0.0%2F8&relay=1.2.3.4:5&peer=%5B::1%5D:5", "user=%ff", "&&=;", "peer=::ffff:1.2.3.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if k, err := parseKill(raw); err == nil && (k.connection == 0) == (k.user == "") {
			t.Errorf("kills %+v", k)
		}
		got, err := parseFilter(raw)
		if err != nil {
			return
		}
		q, err := url.ParseQuery(raw)
		if err != nil || got.user != q.Get("user") {
			t.Errorf("got %+v of %v, %v", got, q, err)
		}
		for key, w := range map[string]where{"client": got.client, "relay": got.relay, "peer": got.peer} {
			if (w == where{}) != (q.Get(key) == "") || w != (where{}) && !w.prefix.IsValid() {
				t.Errorf("%s is %+v of %q", key, w, q.Get(key))
			}
		}
	})
}
