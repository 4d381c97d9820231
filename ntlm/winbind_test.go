package ntlm_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// winbind is Samba's NTLM verifier as a standalone server: winbindd with a password database of its
// own, no domain and no port, all in one directory that is removed at the end. It knows one account.
type winbind struct {
	dir  string
	cred *syscall.Credential // nobody, when we are root: Samba's wrappers pretend to be root themselves
}

const (
	sambaDomain   = "PROXYSRV"
	sambaUser     = "alice"
	sambaPassword = "pw-Alice1"
)

const smbConf = `[global]
 netbios name = PROXYSRV
 workgroup = WORKGRP
 server role = standalone server
 security = user
 passdb backend = tdbsam:DIR/private/passdb.tdb
 private dir = DIR/private
 state directory = DIR/state
 lock directory = DIR/lock
 cache directory = DIR/cache
 pid directory = DIR/run
 ncalrpc dir = DIR/ncalrpc
 winbindd socket directory = DIR/wbsock
 log file = DIR/log/log.%m
 disable netbios = yes
 load printers = no
 ntlm auth = ntlmv2-only
`

// startWinbind returns once an authentication works.
func startWinbind(t *testing.T) *winbind {
	t.Helper()
	peers.Need(t, "winbindd", "ntlm_auth", "pdbedit", "libnss_wrapper.so", "libuid_wrapper.so")
	w := &winbind{}
	w.prepare(t)
	w.addUser(t)
	w.serve(t)
	w.await(t)
	return w
}

// prepare makes the directory. It is not t.TempDir, whose parents nobody may not enter.
func (w *winbind) prepare(t *testing.T) {
	dir, err := os.MkdirTemp("", "winbind")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	w.dir = dir
	for _, sub := range []string{"private", "state", "lock", "cache", "run", "ncalrpc", "wbsock", "log"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	passwd, err := os.ReadFile("/etc/passwd")
	must(t, err)
	group, err := os.ReadFile("/etc/group")
	must(t, err)
	passwd = append(passwd, sambaUser+":x:7001:65534::/nonexistent:/usr/sbin/nologin\n"...)
	must(t, os.WriteFile(w.path("passwd"), passwd, 0o644))
	must(t, os.WriteFile(w.path("group"), group, 0o644))
	must(t, os.WriteFile(w.path("smb.conf"), []byte(strings.ReplaceAll(smbConf, "DIR", dir)), 0o644))
	if os.Getuid() == 0 {
		w.giveToNobody(t)
	}
}

func (w *winbind) giveToNobody(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	must(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	must(t, err)
	w.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	must(t, filepath.WalkDir(w.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	}))
}

func (w *winbind) path(elem string) string { return filepath.Join(w.dir, elem) }

// command prepares a Samba program that believes to be root, knows our users, and finds our
// winbindd: its socket's directory is compiled into the client library and can be moved so only.
func (w *winbind) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(peers.Find(name), args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"LD_PRELOAD=libnss_wrapper.so libuid_wrapper.so", "UID_WRAPPER=1", "UID_WRAPPER_ROOT=1",
		"NSS_WRAPPER_PASSWD=" + w.path("passwd"), "NSS_WRAPPER_GROUP=" + w.path("group"),
		"SELFTEST_WINBINDD_SOCKET_DIR=" + w.path("wbsock"),
	}
	// A group of its own, so that stopping it reaches the children that outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: w.cred, Setpgid: true}
	return cmd
}

func (w *winbind) addUser(t *testing.T) {
	cmd := w.command("pdbedit", "-s", w.path("smb.conf"), "-a", "-t", "-u", sambaUser)
	cmd.Stdin = strings.NewReader(sambaPassword + "\n" + sambaPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pdbedit: %v\n%s", err, out)
	}
}

func (w *winbind) serve(t *testing.T) {
	var out bytes.Buffer
	cmd := w.command("winbindd", "-F", "--no-process-group", "-s", w.path("smb.conf"))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("winbindd:\n%s", out.Bytes())
		}
	})
	t.Cleanup(func() {
		w.stopRPC(t)
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		_ = cmd.Wait() // its exit status after a signal tells nothing
	})
}

// stopRPC ends samba-dcerpcd, which winbindd starts and which survives it.
func (w *winbind) stopRPC(t *testing.T) {
	text, err := os.ReadFile(w.path("run/samba-dcerpcd.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	waitFor(t, "the end of samba-dcerpcd", func() bool { return syscall.Kill(pid, 0) != nil })
}

// await authenticates until that works; ntlm_auth's exit code tells, not its words.
func (w *winbind) await(t *testing.T) {
	waitFor(t, "winbindd", func() bool {
		cmd := w.command("ntlm_auth", w.ntlmAuthArgs("--username="+sambaUser)...)
		cmd.Stdin = strings.NewReader(sambaPassword + "\n")
		return cmd.Run() == nil
	})
}

func (w *winbind) ntlmAuthArgs(args ...string) []string {
	return append([]string{"--configfile=" + w.path("smb.conf"), "--domain=" + sambaDomain}, args...)
}

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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
