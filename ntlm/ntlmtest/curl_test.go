package ntlmtest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/ntlm/ntlmtest"
)

// curl tunnels to the target through a proxy. The configuration comes by standard input, so that no
// password stands in the process list. It returns the body and the status of the CONNECT.
func curl(t *testing.T, proxyAddr, target, config string, env ...string) (body, status string) {
	t.Helper()
	cmd := exec.Command(peers.Find("curl"), "-q", "-s", "-K", "-", "--max-time", "20", "-p",
		"-x", "http://"+proxyAddr, "-w", "\n%{http_connect}", target)
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // a refused tunnel has an exit status, too
		t.Fatal(err)
	}
	body, status, _ = strings.Cut(string(out), "\n")
	return body, status
}

func TestCurl(t *testing.T) {
	peers.Need(t, "curl")
	target := startTarget(t)
	for _, c := range []struct {
		name, user string
		change     func(*ntlmtest.Acceptor)
		want       error
	}{
		{"plain name", "alice:pw-Alice1", nil, nil},
		{"domain", `CORP\\alice:pw-Alice1`, nil, nil},
		{"principal name", "alice@corp.example:pw-Alice1", nil, nil},
		{"key exchange", "alice:pw-Alice1", func(a *ntlmtest.Acceptor) { a.KeyExchange = true }, nil},
		{"no timestamp", "alice:pw-Alice1", func(a *ntlmtest.Acceptor) { a.OmitTimestamp = true }, nil},
		{"wrong password", "alice:wrong", nil, ntlmtest.ErrWrongPassword},
		{"unknown domain", `ELSEWHERE\\alice:pw-Alice1`, nil, ntlmtest.ErrUnknownUser},
		{"no target info", "alice:pw-Alice1", func(a *ntlmtest.Acceptor) { a.OmitTargetInfo = true }, nil},
		{"integrity code demanded", "alice:pw-Alice1", func(a *ntlmtest.Acceptor) { a.RequireMIC = true }, ntlmtest.ErrMIC},
		{"channel binding demanded", "alice:pw-Alice1", func(a *ntlmtest.Acceptor) { a.RequireChannelBinding = true }, ntlmtest.ErrChannelBinding},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := corp()
			if c.change != nil {
				c.change(a)
			}
			p := startProxy(t, "NTLM", a, []byte("tls-server-end-point:x"))
			body, status := curl(t, p.addr, target, "proxy-ntlm\nproxy-user = \""+c.user+"\"\n")
			checkOutcome(t, p, body, status, c.want)
		})
	}
}

// checkOutcome asserts that the client got through, or that it did not for the reason given and at
// the price of one attempt.
func checkOutcome(t *testing.T, p *proxy, body, status string, want error) {
	t.Helper()
	types, refusals := p.seen()
	wantBody, wantStatus, wantTally := "reached", "200", [2]int{1, 0}
	if want != nil {
		wantBody, wantStatus, wantTally = "", "407", [2]int{0, 1}
	}
	if body != wantBody || status != wantStatus {
		t.Errorf("got body %q and status %s, want %q and %s; %q arrived", body, status, wantBody, wantStatus, types)
	}
	if err := errors.Join(refusals...); !errors.Is(err, want) {
		t.Errorf("got refusals %v, want %v", err, want)
	}
	if got := [2]int{p.acceptor.Accepted("alice"), p.acceptor.Failures("Alice")}; got != wantTally {
		t.Errorf("got accepted and failed %v, want %v", got, wantTally)
	}
}

// TestCurlWithGSSNTLMSSP has a real client of SPNEGO: curl over MIT's SPNEGO over gss-ntlmssp, which
// sends a MIC, exchanges keys and signs the list of mechanisms.
func TestCurlWithGSSNTLMSSP(t *testing.T) {
	peers.Need(t, "curl", "gssntlmssp/gssntlmssp.so")
	target := startTarget(t)
	for _, c := range []struct {
		name, password string
		keyExchange    bool
		want           error
	}{
		{"right", "pw-Alice1", false, nil},
		{"right, key exchange", "pw-Alice1", true, nil},
		{"wrong", "wrong", false, ntlmtest.ErrWrongPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := corp()
			a.RequireMIC, a.KeyExchange = true, c.keyExchange
			p := startProxy(t, "Negotiate", a, nil)
			users := filepath.Join(t.TempDir(), "users")
			must(t, os.WriteFile(users, []byte("CORP:alice:"+c.password+"\n"), 0o600))
			body, status := curl(t, p.addr, target, "proxy-negotiate\nproxy-user = \":\"\n",
				"NTLM_USER_FILE="+users, "NTLMUSER=alice", "KRB5_CONFIG=/dev/null", "KRB5CCNAME=FILE:/nonexistent")
			checkOutcome(t, p, body, status, c.want)
			if types, _ := p.seen(); len(types) != 2 || types[0][0] != 'Y' || types[1][0] != 'o' {
				t.Errorf("got tokens %q, want NegTokenInit (Y...) and NegTokenResp (o...)", types)
			}
		})
	}
}
