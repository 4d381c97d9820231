package matrix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParsePlan(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PLAN_TEST_PASSWORD", "from the environment")
	text := strings.ReplaceAll(`
turn:
  url: turns:turn.corp.example:443?transport=tcp
  user: t
  password_file: SECRET
direct: true
cells:
  - name: site-a/ntlm
    proxy: http://proxy-a:8080
    auth: ntlm
    user: CORP\alice
    password_env: PLAN_TEST_PASSWORD
  - name: site-b/basic
    proxy: https://proxy-b
    auth: basic
    user: alice
    password_file: SECRET
    turn: {url: "turn:[2001:db8::1]?transport=tcp", user: u, password_file: SECRET}
`, "SECRET", secret)
	plan, err := parsePlan("plan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cells := plan.Cells()
	want := []struct{ name, proxy, address, password string }{
		{"direct/turns/turn.corp.example:443", "", "turn.corp.example:443", ""},
		{"site-a/ntlm", "http://proxy-a:8080", "turn.corp.example:443", "from the environment"},
		{"direct/turn/[2001:db8::1]:3478", "", "[2001:db8::1]:3478", ""},
		{"site-b/basic", "https://proxy-b", "[2001:db8::1]:3478", "pw"},
	}
	if len(cells) != len(want) {
		t.Fatalf("%d cells, want %d", len(cells), len(want))
	}
	for i, w := range want {
		c := cells[i]
		if c.Name != w.name || c.Proxy != w.proxy || c.TURN.Address != w.address || string(c.Auth.Password) != w.password || c.Expect != "through" {
			t.Errorf("cell %d: got %q %q %q, want %+v", i, c.Name, c.Proxy, c.TURN.Address, w)
		}
	}
	if !cells[1].TURN.Secure || cells[3].TURN.Secure || cells[1].TURN.FarDirect {
		t.Errorf("turns %v, turn %v, far end direct %v", cells[1].TURN.Secure, cells[3].TURN.Secure, cells[1].TURN.FarDirect)
	}
}

// All that is wrong is said at once, with file and line, and no secret.
func TestPlanErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"plan.yaml: EOF"}},
		{"no cells", "cells: []\n", []string{"plan.yaml: line 1: no cells"}},
		{"not YAML", "cells: [\n", []string{"plan.yaml: line "}},
		{"unknown keys", "turm: 1\ncells:\n  - name: a\n    pxoxy: b\n    usr: c\n", []string{
			"plan.yaml: line 1: field turm not found", `plan.yaml: line 4: unknown key "pxoxy"; known are name, proxy`, `plan.yaml: line 5: unknown key "usr"`}},
		{"wrong type", "direct: perhaps\ncells: []\n", []string{"plan.yaml: line 1: cannot unmarshal"}},
		{"values", `turn: {url: "http://x", user: u}
cells:
  - name: a b
    proxy: socks://p
  - name: c
    auth: kerberos6
    proxy: http://alice:s3cret@p:1
    password_file: /nonexistent/x
  - name: c
    proxy: http://p:1
    auth: basic
    password_env: PLAN_TEST_ABSENT
`, []string{
			`plan.yaml: line 1: turn url "http://x": want turn:HOST:PORT`,
			`plan.yaml: line 3: name "a b": want`, `plan.yaml: line 3: cell "a b": proxy "socks://p"`,
			"plan.yaml: line 5: password_file: open /nonexistent/x", `plan.yaml: line 5: cell "c"`,
			`plan.yaml: line 9: name "c" was given in line 5 already`, "plan.yaml: line 9: password_env: the environment has no variable PLAN_TEST_ABSENT",
			`plan.yaml: line 9: cell "c": authentication basic: needs a user and a password`}},
		{"udp", "turn: {url: 'turn:h:1'}\ncells:\n  - {name: a, proxy: p:1, auth: none}\n", []string{"an HTTP proxy carries tcp only"}},
		{"no turn server", "cells:\n  - {name: a, proxy: p:1, auth: none}\n", []string{`plan.yaml: line 2: cell "a" has no turn server`}},
	}
	for _, tt := range tests {
		_, err := parsePlan("plan.yaml", []byte(tt.text))
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in\n%v", tt.name, want, err)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows a secret:\n%v", tt.name, err)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add("turn: {url: 'turns:h:1', user: u}\ncells:\n  - {name: a, proxy: p:1, auth: none}\n")
	f.Add("cells: &a [*a]\n")
	f.Add("cells:\n  - name: {}\n    turn: []\n")
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := parsePlan("plan.yaml", []byte(text))
		if err == nil && len(plan.Cells()) == 0 {
			t.Error("a plan without cells was taken")
		}
	})
}
