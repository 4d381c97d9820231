//go:build !linux

package realstack

import "syscall"

// missingPlatform stops Start before it does anything: the reaper reads /proc, and the wrappers that
// let Samba run unprivileged are those of Linux.
var missingPlatform = []string{"Linux"}

func (account) attributes() *syscall.SysProcAttr { return nil }
func (account) survivor() *syscall.SysProcAttr   { return nil }
func killGroup(int)                              {}
