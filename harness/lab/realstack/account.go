package realstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// account is who the children are.
type account struct {
	drop     bool // the caller is root: become uid and gid
	uid, gid int
}

// ownAccount is nobody for root, else whoever we are: daemons that parse bytes from outside have no
// business as root, and Squid and Apache would refuse or change users by themselves.
func ownAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return account{}, fmt.Errorf("started by root, which needs a user to become: %w", err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		return account{}, fmt.Errorf("uid of nobody: %w", err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		return account{}, fmt.Errorf("gid of nobody: %w", err)
	}
	return account{drop: true, uid: uid, gid: gid}, nil
}

// maxDir bounds the private directory's path: Samba makes sockets up to 60 bytes below it, and a
// socket's path has 107 bytes at most (unix(7)).
const maxDir = 47

// makeDir makes the private directory where the account can reach it: the directory for temporary
// files, or /tmp where that one is closed to the account, too long, or has blanks in its path, which
// squid.conf cannot express.
func (a account) makeDir() (string, error) {
	var errs []error
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		dir, err := a.makeDirIn(parent)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("private directory: %w", errors.Join(errs...))
}

func (a account) makeDirIn(parent string) (string, error) {
	parent, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return "", err
	}
	if len(parent)+len("/tgreal-4294967295") > maxDir || strings.ContainsAny(parent, " \t\n\"'\\#$%*?[") {
		return "", fmt.Errorf("%q is too long or has signs that configuration files cannot hold", parent)
	}
	if info, err := os.Stat(parent); a.drop && (err != nil || info.Mode()&0o002 == 0) {
		return "", fmt.Errorf("in %s the user nobody could not remove its directory", parent)
	}
	for up := parent; a.drop && up != "/"; up = filepath.Dir(up) {
		if info, err := os.Stat(up); err != nil || info.Mode()&0o001 == 0 {
			return "", fmt.Errorf("%s is closed to the user nobody", up)
		}
	}
	dir, err := os.MkdirTemp(parent, "tgreal-") // mode 0700
	if err != nil {
		return "", err
	}
	if err := a.own(dir); err != nil {
		os.Remove(dir)
		return "", err
	}
	return dir, nil
}

func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// path returns the path of a file of the Stack.
func (s *Stack) path(name ...string) string {
	return filepath.Join(append([]string{s.Dir}, name...)...)
}

// write makes or replaces a file that only the children and we can read.
func (s *Stack) write(name string, content []byte) error {
	path := s.path(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// O_EXCL: root must not follow a link that nobody planted in nobody's directory.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close(), s.account.own(path))
}

// mkdir makes private directories below Dir.
func (s *Stack) mkdir(names ...string) error {
	for _, name := range names {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return err
		}
		if err := s.account.own(s.path(name)); err != nil {
			return err
		}
	}
	return nil
}
