package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerUID is the user of the process at the other end, as the kernel knows it (SO_PEERCRED).
func peerUID(nc net.Conn) (uid, error) {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return nobody, errors.New("no unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nobody, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nobody, err
	}
	if failed != nil {
		return nobody, failed
	}
	return uid(cred.Uid), nil
}

// nobody is no user.
const nobody = ^uid(0)

// ownedByUs wants a file to be of root or of the server's own user.
func ownedByUs(info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d, and must belong to root or to the server's own user", info.Name(), st.Uid)
	}
	return nil
}
