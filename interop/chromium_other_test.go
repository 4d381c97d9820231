//go:build !unix

package interop

import "os/exec"

func killTogether(*exec.Cmd) {}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
