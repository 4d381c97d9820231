package ntlmtest_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/ntlm/ntlmtest"
)

// TestCntlm has cntlm log on for curl. It speaks the old versions, too, which must be refused.
func TestCntlm(t *testing.T) {
	peers.Need(t, "cntlm", "curl")
	target := startTarget(t)
	for _, c := range []struct {
		name, auth, password string
		want                 error
	}{
		{"right", "NTLMv2", "pw-Alice1", nil},
		{"wrong password", "NTLMv2", "wrong", ntlmtest.ErrWrongPassword},
		{"NTLMv1", "NTLM", "pw-Alice1", ntlmtest.ErrNotNTLMv2},
		{"NTLMv1 with client's nonce", "NTLM2SR", "pw-Alice1", ntlmtest.ErrNotNTLMv2},
		{"LM", "LM", "pw-Alice1", ntlmtest.ErrNotNTLMv2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startProxy(t, "NTLM", corp(), nil)
			bridge := startCntlm(t, p.addr, c.auth, c.password)
			body, status := curl(t, bridge, target, "")
			checkOutcome(t, p, body, status, c.want)
		})
	}
}

// startCntlm returns the address that cntlm listens on.
func startCntlm(t *testing.T, parent, auth, password string) string {
	t.Helper()
	addr := freeAddr(t)
	conf := filepath.Join(t.TempDir(), "cntlm.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil,
		"Username alice\nDomain CORP\nPassword %s\nAuth %s\nWorkstation DESK1\nProxy %s\nListen %s\n",
		password, auth, parent, addr), 0o600))
	var out bytes.Buffer
	cmd := exec.Command(peers.Find("cntlm"), "-f", "-c", conf)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("cntlm:\n%s", out.Bytes())
		}
	})
	waitListening(t, addr)
	return addr
}

// freeAddr finds a port for a program that cannot choose one itself.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

func waitListening(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			must(t, conn.Close())
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody listens on %s after 20 s: %v", addr, err)
		case <-tick.C:
		}
	}
}
