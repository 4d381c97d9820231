//go:build unix

package interop

import (
	"os/exec"
	"syscall"
)

// killTogether makes the browser and its helper processes one group.
func killTogether(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// end kills the group that we started, and waits for the browser.
func end(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}
