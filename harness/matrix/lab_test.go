package matrix

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/internal/peers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func embedded(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Every scheme x http/https proxy x turn/turns is a cell, and all cells end as they declare.
func TestEmbeddedMatrix(t *testing.T) {
	l := embedded(t)
	cells := LabCells(l)
	if len(cells) < 40 {
		t.Errorf("%d cells, want at least 40", len(cells))
	}
	names := make(map[string]bool)
	for _, c := range cells {
		if names[c.Name] {
			t.Errorf("two cells are called %s", c.Name)
		}
		names[c.Name] = true
	}
	for _, scheme := range []string{"none", "basic", "digest", "digest-sha256", "ntlm", "negotiate-ntlm", "kerberos", "all"} {
		for _, proxy := range []string{"http-proxy", "https-proxy"} {
			for _, transport := range []string{"turn", "turns"} {
				if name := scheme + "/" + proxy + "/" + transport + "/udp/embedded"; !names[name] {
					t.Errorf("there is no cell %s", name)
				}
			}
		}
	}
	checkRun(t, l, (&Matrix{Lab: l.Name, Cells: cells, Duration: 40 * time.Millisecond}).Run(t.Context()))
}

// The same through proxies and verifiers that we did not write.
func TestRealMatrix(t *testing.T) {
	peers.Need(t, "squid", "apache2", "krb5kdc", "winbindd", "ntlm_auth", "tinyproxy", "mod_auth_gssapi.so")
	var log bytes.Buffer
	l, err := lab.NewReal(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	cells := LabCells(l)
	r := (&Matrix{Lab: l.Name, Cells: cells, Duration: 100 * time.Millisecond}).Run(t.Context())
	checkRun(t, l, r)
	for _, scheme := range []string{"basic", "digest", "ntlm", "kerberos", "all"} {
		for _, proxy := range []string{"http-proxy", "https-proxy"} {
			mustCheck(t, r, scheme+"/"+proxy+"/turns/udp/squid", checkRecord)
		}
		mustCheck(t, r, scheme+"/http-proxy/turn/udp/squid/wrong-password", checkFailures)
	}
	mustCheck(t, r, "all/http-proxy/turn/udp/squid/no-ticket-wrong-password", checkFailures)
}

// mustCheck wants the cell to have asked the other side, with success.
func mustCheck(t *testing.T, r report.Run, cell, check string) {
	t.Helper()
	for _, c := range r.Cells {
		for _, got := range c.Checks {
			if c.Name == cell && got.Name == check && got.OK {
				return
			}
		}
	}
	t.Errorf("%s: no successful check of %s", cell, check)
}

func checkRun(t *testing.T, l *lab.Lab, r report.Run) {
	t.Helper()
	var text strings.Builder
	report.Text(&text, r)
	if r.Verdict != report.Pass {
		t.Errorf("verdict %s (%s)\n%s", r.Verdict, r.Reason, text.String())
		if l.Logs != nil {
			var logs strings.Builder
			l.Logs(&logs)
			t.Log(logs.String())
		}
	}
	for _, c := range r.Cells {
		if c.Expected == codeThrough && c.Outcome == report.Pass && (c.Tunnel == nil || len(c.Tunnel.Phases) == 0) {
			t.Errorf("%s: no phases", c.Name)
		}
		if f := c.Figures; f != nil && (f.RTT.Count == 0 || f.UpMbps <= 0 || f.DownMbps <= 0) {
			t.Errorf("%s: figures %+v", c.Name, *f)
		}
	}
	var document bytes.Buffer
	if err := report.JSON(&document, r); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{l.User.Password, l.TURN.User.Password} {
		if strings.Contains(document.String()+text.String(), secret) {
			t.Error("a report shows a password")
		}
	}
}

// A run that is cut off keeps the cells that ended and says that it is partial.
func TestInterrupted(t *testing.T) {
	l := embedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	m := &Matrix{Cells: Select(LabCells(l), []string{"basic"}), Duration: 20 * time.Millisecond}
	m.Progress = func(done, _ int, _ report.Cell) {
		if done == 2 {
			cancel()
		}
	}
	r := m.Run(ctx)
	if len(r.Cells) != 2 || !r.Partial || r.Verdict != report.Void {
		t.Errorf("%d cells, partial %v, verdict %s; want 2, true, void", len(r.Cells), r.Partial, r.Verdict)
	}
}

// With real accounts, the first rejection ends all that would send credentials.
func TestRealAccountsAreNotLocked(t *testing.T) {
	l := embedded(t)
	var wrong []Cell
	for _, c := range Select(LabCells(l), []string{"basic/http-proxy/turn/udp/embedded", "ntlm/http-proxy/turn/udp/embedded"}) {
		if c.Expect == codeThrough {
			c.Auth.Password = "wrong"
			c.Begin = nil
			wrong = append(wrong, c)
		}
	}
	if len(wrong) != 2 {
		t.Fatalf("%d cells, want 2", len(wrong))
	}
	r := (&Matrix{Cells: wrong, Real: true}).Run(t.Context())
	if r.Cells[0].Got != codeRejected || r.Cells[1].Outcome != report.Skip || r.Verdict != report.Fail {
		t.Errorf("got %+v, verdict %s; want one rejected, one skipped, fail", r.Cells, r.Verdict)
	}
	failures := 0
	for _, p := range l.Proxies {
		if n, err := p.Failures(); err == nil && !p.TLS {
			failures += n
		}
	}
	if failures != 1 {
		t.Errorf("%d failed attempts at the verifiers, want 1", failures)
	}
}

// A check that fails, fails its cell.
func TestCheckFails(t *testing.T) {
	l := embedded(t)
	c := Select(LabCells(l), []string{"direct/turn"})[0]
	c.Measure = false
	c.Begin = []func() Check{func() Check {
		return func(context.Context) (string, string, bool) { return "log", "nothing", false }
	}}
	if r := (&Matrix{Cells: []Cell{c}}).Run(t.Context()); r.Cells[0].Outcome != report.Fail {
		t.Errorf("got %s, want fail", r.Cells[0].Outcome)
	}
}

// A cell that cannot be set up is void, not failed.
func TestPrepareFails(t *testing.T) {
	c := Cell{Name: "a", Prepare: func(context.Context, *Cell) (func(), error) { return nil, errors.New("no") }}
	if r := (&Matrix{Cells: []Cell{c}}).Run(t.Context()); r.Cells[0].Outcome != report.Void || r.Verdict != report.Void {
		t.Errorf("got %s, verdict %s; want void", r.Cells[0].Outcome, r.Verdict)
	}
}

// Every fault that the lab plays ends in its code, first in rank.
func TestCheckCells(t *testing.T) {
	l := embedded(t)
	cells := CheckCells(l)
	if len(cells) < 40 {
		t.Errorf("%d faults, want at least 40", len(cells))
	}
	r := (&Matrix{Lab: l.Name, Cells: cells}).Run(t.Context())
	checkRun(t, l, r)
	for _, c := range r.Cells {
		if c.Hint == "" {
			t.Errorf("%s: no hint", c.Name)
		}
	}
}
