//go:build unix && !linux

package turntcp

import "syscall"

// limitUnsent does nothing: the kernel keeps what its send buffer holds.
func limitUnsent(syscall.RawConn) {}
