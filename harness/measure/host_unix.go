//go:build unix

package measure

import "golang.org/x/sys/unix"

// Kernel is the name and release of the operating system's kernel.
func Kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
