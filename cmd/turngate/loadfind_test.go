package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/lab"
)

// The proxy that a PAC file names is loaded, by every generator process.
func TestLoadFinds(t *testing.T) {
	clearProxies(t)
	l, proxy := labProxy(t, lab.SchemeNTLM)
	dir := t.TempDir()
	for name, text := range map[string]string{"proxy": l.User.Password, "turn": l.TURN.User.Password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out.json")
	address := strings.TrimPrefix(proxy.URL, "http://")
	p := start(t, nil, "load", "--pac", pacFile(t, "PROXY "+address+"; DIRECT"), "--proxy-allow", "localhost", "--auth", "ntlm", "--proxy-user", l.User.Name,
		"--proxy-password-file", filepath.Join(dir, "proxy"), "--turn", "turn:"+l.TURN.TCP+"?transport=tcp", "--turn-user", l.TURN.User.Name,
		"--turn-password-file", filepath.Join(dir, "turn"), "--calls", "2", "--profile", "idle", "--duration", "1s", "--processes", "2", "--json", out)
	p.await(t, "the first of 2")
	for range p.lines { // to its end
	}
	p.Wait()
	r := recordOf(t, out)
	if s := r.Steps[0]; r.Path.Proxy != proxy.URL || s.Tunnels.Opened != 2 || s.Generator.Processes != 2 || !strings.Contains(r.Conditions.Note, "named by FindProxyForURL in ") {
		t.Errorf("path %+v, tunnels %+v, note %q", r.Path, s.Tunnels, r.Conditions.Note)
	}
}
