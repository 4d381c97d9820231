//go:build linux

package ntlm_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// winbind is Samba's NTLM verifier as a standalone server: winbindd with a password database of its
// own, no domain and no port. It knows one account.
type winbind struct{ *sandbox }

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
	w := &winbind{newSandbox(t)}
	w.prepare(t)
	w.addUser(t)
	w.serve(t)
	w.await(t)
	return w
}

func (w *winbind) prepare(t *testing.T) {
	for _, sub := range []string{"private", "state", "lock", "cache", "run", "ncalrpc", "wbsock", "log"} {
		must(t, os.Mkdir(w.path(sub), 0o755))
	}
	passwd, err := os.ReadFile("/etc/passwd")
	must(t, err)
	group, err := os.ReadFile("/etc/group")
	must(t, err)
	w.write(t, "passwd", string(passwd)+sambaUser+":x:7001:65534::/nonexistent:/usr/sbin/nologin\n")
	w.write(t, "group", string(group))
	w.write(t, "smb.conf", strings.ReplaceAll(smbConf, "DIR", w.dir))
	w.giveAway(t)
}

// command prepares a Samba program that believes to be root, knows our users, and finds our
// winbindd: its socket's directory is compiled into the client library and can be moved so only.
func (w *winbind) command(name string, args ...string) *exec.Cmd {
	cmd := w.sandbox.command(name, args...)
	cmd.Env = append(cmd.Env,
		"LD_PRELOAD=libnss_wrapper.so libuid_wrapper.so", "UID_WRAPPER=1", "UID_WRAPPER_ROOT=1",
		"NSS_WRAPPER_PASSWD="+w.path("passwd"), "NSS_WRAPPER_GROUP="+w.path("group"),
		"SELFTEST_WINBINDD_SOCKET_DIR="+w.path("wbsock"))
	return cmd
}

func (w *winbind) addUser(t *testing.T) {
	cmd := w.command("pdbedit", "-s", w.path("smb.conf"), "-a", "-t", "-u", sambaUser)
	cmd.Stdin = strings.NewReader(sambaPassword + "\n" + sambaPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pdbedit: %v\n%s", err, out)
	}
}

// serve starts winbindd. samba-dcerpcd, which it starts, must be stopped first (cleanups run from the
// last to the first): its pid file goes with winbindd's directory.
func (w *winbind) serve(t *testing.T) {
	w.start(t, w.command("winbindd", "-F", "--no-process-group", "-s", w.path("smb.conf")))
	t.Cleanup(func() { w.stopRPC(t) })
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
