//go:build unix

package turntcp

import "syscall"

// limitDescriptors sets how many files the process may have open; 0 is as many as it is allowed.
func limitDescriptors(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if n != 0 {
		limit.Cur = n
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
