package realstack

import "syscall"

var missingPlatform []string

// attributes puts a child into a session of its own, so that no terminal's signal or password prompt
// reaches it, as the account, to die with the thread that started it.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} // and no further group
	}
	return attr
}

// survivor is attributes for a child that must outlive us.
func (a account) survivor() *syscall.SysProcAttr {
	attr := a.attributes()
	attr.Pdeathsig = 0
	return attr
}

// killGroup kills the process group that pid leads; one that is gone already is no matter.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
