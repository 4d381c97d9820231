//go:build linux

package ntlm_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A helper is a running authentication helper of Squid: one line in, one line out.
type helper struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	lines *bufio.Reader
}

// startHelper starts ntlm_auth as Squid would, with this --helper-protocol.
func (w *winbind) startHelper(t *testing.T, protocol string) *helper {
	t.Helper()
	return startHelper(t, w.command("ntlm_auth", w.ntlmAuthArgs("--helper-protocol="+protocol)...))
}

func startHelper(t *testing.T, cmd *exec.Cmd) *helper {
	t.Helper()
	stdin, in, err := os.Pipe()
	must(t, err)
	out, stdout, err := os.Pipe()
	must(t, err)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	must(t, cmd.Start())
	must(t, errors.Join(stdin.Close(), stdout.Close()))
	t.Cleanup(func() {
		must(t, in.Close()) // end of input ends the helper
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		must(t, out.Close())
	})
	must(t, out.SetReadDeadline(time.Now().Add(30*time.Second)))
	return &helper{t: t, cmd: cmd, in: in, lines: bufio.NewReader(out)}
}

// ask sends a command ("YR", "KK") with a token and returns the reply's code and the rest.
func (h *helper) ask(command, token string) (code, rest string) {
	h.t.Helper()
	_, err := fmt.Fprintf(h.in, "%s %s\n", command, token)
	must(h.t, err)
	line, err := h.lines.ReadString('\n')
	must(h.t, err)
	code, rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	return code, rest
}
