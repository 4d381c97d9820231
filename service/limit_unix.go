//go:build unix

package service

import "syscall"

// openFiles is how many files the process may have open, or 0 where that is not known. Go has raised
// it as far as it may.
func openFiles() uint64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return uint64(r.Cur)
}
