package realstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// WinbindFailures returns how many wrong NTLM (or plain) passwords of a user winbindd has seen.
func (s *Stack) WinbindFailures(user string) (int, error) {
	// Each check leaves a line of the password database, and one more of the interface it came by.
	return s.countLines("log.wb-"+Domain, "[winbind,PASSDB,", `\[`+user+"] at [", "[NT_STATUS_WRONG_PASSWORD]")
}

// sambaEnv makes Samba's programs run unprivileged: nss_wrapper shows them our users as accounts and
// lets them find our winbindd's socket (libwbclient heeds SELFTEST_WINBINDD_SOCKET_DIR only under
// it); uid_wrapper lets winbindd believe it is root, without which it does not hand out its
// privileged pipe. Its databases need not outlast a power cut, and fsync takes seconds on a busy disk.
func (s *Stack) sambaEnv() []string {
	return []string{
		"LD_PRELOAD=" + find("libnss_wrapper.so") + ":" + find("libuid_wrapper.so"),
		"UID_WRAPPER=1", "UID_WRAPPER_ROOT=1", "TDB_NO_FSYNC=1",
		"NSS_WRAPPER_PASSWD=" + s.path("passwd"), "NSS_WRAPPER_GROUP=" + s.path("group"),
		"SELFTEST_WINBINDD_SOCKET_DIR=" + s.path("samba", "wb"),
	}
}

// ntlmAuth is the command line of ntlm_auth as a helper, for squid.conf. Squid itself must not run
// under the wrappers, so env puts them on.
func (s *Stack) ntlmAuth(protocol string) string {
	words := append([]string{find("env")}, s.sambaEnv()...)
	words = append(words, find("ntlm_auth"), "--configfile="+s.path("smb.conf"), "--domain="+Domain, "--helper-protocol="+protocol)
	return strings.Join(words, " ")
}

func (s *Stack) startWinbind(ctx context.Context) error {
	err := errors.Join(
		s.mkdir("samba", "samba/state", "samba/lock", "samba/cache", "samba/rpc"),
		s.configure("smb.conf", "smb.conf", nil),
		s.writeAccounts(),
	)
	if err != nil {
		return err
	}
	for _, u := range s.cfg.Users {
		stdin := u.Password + "\n" + u.Password + "\n"
		if _, err := s.run(ctx, stdin, s.sambaEnv(), "pdbedit", "-s", s.path("smb.conf"), "-a", "-t", "-u", u.Name); err != nil {
			return err
		}
	}
	v, err := s.launch("winbind", s.sambaEnv(), "winbindd", "-F", "--no-process-group", "-s", s.path("smb.conf"))
	if err != nil {
		return err
	}
	if err := s.awaitWinbind(ctx, v); err != nil {
		v.kill()
		return err
	}
	s.keep(v)
	return nil
}

// writeAccounts writes the machine's accounts with our users among them, for nss_wrapper: pdbedit
// insists on a Unix account for each.
func (s *Stack) writeAccounts() error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for i, u := range s.cfg.Users {
		fmt.Fprintf(&all, "%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", u.Name, 700000+i, s.account.gid)
	}
	all.Write(passwd) // after ours, which win where the machine has an account of that name
	return errors.Join(s.write("passwd", all.Bytes()), s.write("group", group))
}

// awaitWinbind logs the first user in until it works. The first login makes winbindd start its RPC
// servers, which takes longer than the rest; nobody shall measure that.
func (s *Stack) awaitWinbind(ctx context.Context, v *service) error {
	for {
		err := s.askWinbind(ctx, s.cfg.Users[0])
		if err == nil {
			return nil
		}
		if v.ended() {
			out, _ := os.ReadFile(s.path("log", "winbind.out"))
			return fmt.Errorf("winbindd ended at once: %v: %s", v.err, tail(out, 800))
		}
		if pause(ctx, poll) != nil {
			return fmt.Errorf("not ready: %w: %w", context.Cause(ctx), err)
		}
	}
}

// askWinbind has ntlm_auth verify a password, which it takes from its standard input as from Squid.
func (s *Stack) askWinbind(ctx context.Context, u User) error {
	args := []string{"--configfile=" + s.path("smb.conf"), "--domain=" + Domain, "--helper-protocol=squid-2.5-basic"}
	said, err := s.run(ctx, u.Name+" "+url.PathEscape(u.Password)+"\n", s.sambaEnv(), "ntlm_auth", args...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(said) { // among warnings about logs of the system
		if strings.TrimSpace(line) == "OK" {
			return nil
		}
	}
	return fmt.Errorf("ntlm_auth said %s", tail([]byte(said), 400))
}
