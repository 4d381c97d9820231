package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/internal/peers"
)

// All that is wrong with a list of targets is said at once, with its place.
func TestCheckTargetsErrors(t *testing.T) {
	b := newCheckBench(t)
	file := b.write(t, "targets.yaml", `- name: a
  proxi: http://localhost:1
  timeout: soon
- proxy: ftp://localhost
  turn: turn:localhost:1?transport=tcp
- name: a
  proxy: http://localhost:1
  turn: turn:localhost:1?transport=tcp
  every: 1s
- hello
`)
	var out bytes.Buffer
	status := run(t.Context(), []string{"check", "--targets", file, "--turn-user", "u", "--turn-password-file", b.path("turn-password")}, stdio{nil, &out, &out})
	if status != exitUsage {
		t.Errorf("exit status %d, want %d", status, exitUsage)
	}
	for _, want := range []string{
		`:2:3: unknown key "proxi"; did you mean proxy?`, `:3:12: timeout: `, `:4:3: the target has no name`, `:4:3: --proxy: `,
		`:6:3: the name "a" was given at `, `:9:3: unknown key "every"`, `:10:3: want a mapping`,
	} {
		if !strings.Contains(out.String(), file+want) {
			t.Errorf("no problem %q in\n%s", want, &out)
		}
	}
	for flags, want := range map[string]string{
		"--metrics 127.0.0.1:0": "--metrics needs --every", "--every 1ms": "--every 1ms", "--targets /nowhere": "/nowhere",
		"--every 1m --json x": "one look at one path", "--every 1m --metrics nowhere": "--metrics: ",
	} {
		out.Reset()
		args := append(b.args("http://localhost:1", "none", false)[:0:0], "check", "--proxy", "http://localhost:1", "--turn", "turn:localhost:1?transport=tcp",
			"--turn-user", "u", "--turn-password-file", b.path("turn-password"))
		if status := run(t.Context(), append(args, strings.Fields(flags)...), stdio{nil, &out, &out}); status != exitUsage || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s", flags, status, exitUsage, want, &out)
		}
	}
}

// lines is output that can be waited for.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newLines() *lines { return &lines{more: make(chan struct{}, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the output has the expression so many times.
func (l *lines) await(t *testing.T, expression string, times int) []string {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		if found := regexp.MustCompile(expression).FindAllString(l.String(), -1); len(found) >= times {
			return found
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("%q is not there %d times in\n%s", expression, times, l)
		}
	}
}

func fetchMetrics(t *testing.T, text string) string {
	t.Helper()
	answer, err := http.Get(strings.Fields(text)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// A probe with a wrong password shows it once, whatever the interval and however many targets have it;
// SIGHUP with the right one starts them again.
func TestCheckWatch(t *testing.T) {
	b := newCheckBench(t)
	var proxy, open lab.Proxy
	for _, p := range b.lab.Proxies {
		switch {
		case p.Scheme == lab.SchemeNTLM && !p.TLS:
			proxy = p
		case p.Scheme == lab.SchemeNone && !p.TLS:
			open = p
		}
	}
	b.watchRejected(t, proxy, open, func() int {
		n, err := proxy.Failures()
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
}

func (b *checkBench) watchRejected(t *testing.T, proxy, open lab.Proxy, failures func() int) {
	t.Helper()
	password := b.write(t, "watched-password", "wr0ng-Password-1")
	targets := b.write(t, "targets.yaml", fmt.Sprintf(`- {name: one, proxy: "%[1]s", auth: ntlm, proxy_user: %[2]s}
- {name: two, proxy: "%[1]s", auth: ntlm, proxy_user: %[2]s}
- {name: open, proxy: "%[3]s", auth: none}
`, proxy.URL, b.lab.User.Name, open.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, done := newLines(), make(chan int)
	args := append([]string{"check", "--targets", targets, "--every", "1s", "--metrics", "127.0.0.1:0", "--quick", "--proxy-password-file", password,
		"--turn", "turns:" + b.lab.TURN.TLS, "--turn-ca", b.path("ca.pem"), "--turn-user", b.lab.TURN.User.Name, "--turn-password-file", b.path("turn-password")}, "--timeout", "5s")
	go func() { done <- run(ctx, args, stdio{nil, out, out}) }()

	before := failures()
	out.await(t, `  open: works`, 3)
	out.await(t, `  (one|two): stopped`, 2)
	if n := failures() - before; n != 1 {
		t.Errorf("%d attempts failed at the verifier, want 1\n%s", n, out)
	}
	page := fetchMetrics(t, out.await(t, `http://[0-9.:]+/metrics`, 1)[0])
	for _, want := range []string{
		`turngate_check_success{target="open"} 1`, `turngate_check_success{target="one"} 0`, `turngate_check_finding{code="proxy.auth-rejected",target="one"} 1`,
		`turngate_check_stopped{target="two"} 1`, `turngate_check_stage_seconds{stage="TLS in tunnel",target="open"} `, `turngate_check_rtt_seconds_count{target="open"} `,
		`turngate_check_last_success_timestamp_seconds{target="open"} `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for what, secret := range b.secrets() {
		if strings.Contains(out.String()+page, secret) {
			t.Errorf("the output shows %s", what)
		}
	}
	b.write(t, "watched-password", b.lab.User.Password)
	hangUp(t)
	out.await(t, `  (one|two): works`, 4)
	if n := failures() - before; n != 1 {
		t.Errorf("%d attempts failed at the verifier after the password was mended, want 1", n)
	}
	b.write(t, "targets.yaml", "- nonsense\n")
	hangUp(t)
	out.await(t, `nothing is changed`, 1)
	cancel()
	if status := <-done; status != exitOK {
		t.Errorf("exit status %d, want 0\n%s", status, out)
	}
}

func hangUp(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// The same with Squid and winbindd, which count themselves.
func TestCheckWatchSquid(t *testing.T) {
	peers.Need(t, "squid", "ntlm_auth", "winbindd", "basic_ncsa_auth", "htpasswd")
	b := newCheckBench(t)
	stack, err := realstack.Start(t.Context(), realstack.Config{Users: []realstack.User{{Name: b.lab.User.Name, Password: b.lab.User.Password}}, Only: []string{"squid/ntlm"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	open := lab.Proxy{}
	for _, p := range b.lab.Proxies {
		if p.Scheme == lab.SchemeNone && !p.TLS {
			open = p
		}
	}
	b.watchRejected(t, lab.Proxy{URL: stack.Proxies()[0].URL}, open, func() int {
		n, err := stack.WinbindFailures(b.lab.User.Name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
}

// Looking once at several targets ends in the worst of them.
func TestCheckTargetsOnce(t *testing.T) {
	b := newCheckBench(t)
	file := b.write(t, "targets.yaml", "- {name: closed, proxy: 'http://localhost:1', auth: none}\n")
	var out bytes.Buffer
	status := run(t.Context(), []string{"check", "--targets", file, "--turn", "turns:" + b.lab.TURN.TLS, "--turn-user", "u", "--turn-password-file", b.path("turn-password")}, stdio{nil, &out, &out})
	if status != exitFail || !strings.Contains(out.String(), "closed: fails at TCP to proxy (proxy.unreachable)") {
		t.Errorf("exit status %d, want 1 and the finding\n%s", status, &out)
	}
}

// However a user is written, it may be one account; a probe must not take it for two.
func TestProxyAccount(t *testing.T) {
	for user, want := range map[string]string{"alice": "user alice", `CORP\Alice`: "user alice", "alice@corp.example": "user alice", "": "keytab k"} {
		c := checkCmd{proxyFlags: proxyFlags{ProxyUser: user, Keytab: "k"}}
		if got := c.proxyAccount(); got != want {
			t.Errorf("%q: got %q, want %q", user, got, want)
		}
	}
}
