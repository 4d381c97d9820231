//go:build !unix

package turntcp

import "syscall"

// sharePort is not to be had here: peers can connect to a relay, and not be connected to from its port.
func sharePort(_, _ string, _ syscall.RawConn) error { return nil }
