package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/conformance"
)

// conform runs turngate conformance against a server and returns its exit status and outputs.
func conform(t *testing.T, s *server, uri, password string, more ...string) (status int, out, errs string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"conformance", "-q", "--turn", uri, "--ca", s.ca, "--user", "alice", "--password-file", file}, more...)
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, stdio{strings.NewReader(""), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// With --old-channels turngate serve violates one MUST, for coturn's clients, and no other.
func TestConformance(t *testing.T) {
	s := startServer(t, "--tcp-relays")
	for _, uri := range []string{"turn:" + s.tcp + "?transport=tcp", "turns:" + strings.Replace(s.tls, "127.0.0.1", "localhost", 1)} {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		status, out, errs := conform(t, s, uri, servePassword, "--peer-ip", "127.0.0.1",
			"--json", path("json"), "--junit", path("junit"), "--markdown", path("markdown"))
		if status != exitFail || errs != "" || strings.Contains(out, servePassword) {
			t.Fatalf("%s: got exit status %d, want 1; %s\n%s", uri, status, errs, out)
		}
		var r conformance.Report
		b, err := os.ReadFile(path("json"))
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil || r.Verdict != conformance.Violates || r.Count(conformance.Pass) < 140 {
			t.Errorf("%s: JSON: %v, %s", uri, err, r.Headline())
		}
		if v := r.Violations(); len(v) != 1 || v[0].ID != "channel.too-high" || len(v[0].Trace) == 0 || !strings.Contains(out, v[0].Trace[0]) {
			t.Errorf("%s: got %+v, want channel.too-high with its trace alone\n%s", uri, v, out)
		}
		for name, want := range map[string]string{
			"junit":    `failures="1"`,
			"markdown": "### turngate conformance: violates\n",
		} {
			if b, err := os.ReadFile(path(name)); err != nil || !bytes.Contains(b, []byte(want)) {
				t.Errorf("%s: %s: %v, want %s", uri, name, err, want)
			}
		}
	}
	s.end(t)
}

func TestConformanceStatus(t *testing.T) {
	s := startServer(t)
	uri := "turn:" + s.tcp + "?transport=tcp"
	for _, tt := range []struct {
		name, password string
		more           []string
		status         int
		out, err       string
	}{
		{"green", servePassword, []string{"--only", "refresh.*,framing.split"}, exitOK, ": conforms: 6 pass, 0 fail", ""},
		{"wrong password", "wrong", nil, exitVoid, "", "is of no use to an ordinary client: Allocate with REQUESTED-TRANSPORT: want success, got error 401"},
		{"no test", servePassword, []string{"--only", "nothing.*"}, exitUsage, "", "no test matches"},
		{"all skipped", servePassword, []string{"--only", "tls.*"}, exitVoid, ": undecided: 0 pass", ""},
		{"JSON on standard output", servePassword, []string{"--only", "refresh.zero", "--json", "-"}, exitOK, `"verdict": "conforms"`, ": conforms: 1 pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := conform(t, s, uri, tt.password, tt.more...)
			if status != tt.status || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.err) {
				t.Errorf("got exit status %d, want %d\n%s\n%s", status, tt.status, out, errs)
			}
		})
	}
	s.end(t)
}
