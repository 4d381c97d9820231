//go:build linux

package ntlm_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// A sandbox is a directory for a server, and the user it runs as: nobody when we are root (Samba's
// wrappers pretend to be root themselves, Apache wants another user), else who we are.
type sandbox struct {
	dir  string
	cred *syscall.Credential
}

// newSandbox makes the directory and removes it at the end. It is not t.TempDir, whose parents nobody
// may not enter.
func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	dir, err := os.MkdirTemp("", "ntlmpeer")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	s := &sandbox{dir: dir}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		must(t, err)
		uid, errUID := strconv.ParseUint(nobody.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(nobody.Gid, 10, 32)
		must(t, errors.Join(errUID, errGID))
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return s
}

func (s *sandbox) path(elem string) string { return filepath.Join(s.dir, elem) }

func (s *sandbox) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(s.path(name), []byte(text), 0o644))
}

// giveAway hands all that is in the directory to the server's user.
func (s *sandbox) giveAway(t *testing.T) {
	t.Helper()
	if s.cred == nil {
		return
	}
	must(t, filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, int(s.cred.Uid), int(s.cred.Gid)))
	}))
}

// command prepares a program with next to no environment.
func (s *sandbox) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(peers.Find(name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	return cmd
}

// start runs a server until the test ends.
func (s *sandbox) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // its exit status after a signal tells nothing
		kill.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, out.Bytes())
		}
	})
}

// waitFor polls a condition that announces itself by no event, for at most 30 seconds.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("no sign of %s after 30 s", what)
		case <-tick.C:
		}
	}
}
