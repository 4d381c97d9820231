package realstack

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

//go:embed reaper.sh
var reaperScript string

var reaperFiles = []string{"sh", "grep", "find", "cut", "sleep", "rm"}

// closeTimeout bounds how long the reaper may take.
const closeTimeout = 15 * time.Second

// marker is the environment variable by which the reaper knows the processes of a stack. Its value
// is the private directory.
const marker = "TURNGATE_REALSTACK"

// A reaper is a small shell that waits for the end of a pipe and then kills and removes all that a
// Stack started and made. It is how Close works, and how nothing stays behind when we are killed.
type reaper struct {
	cmd    *exec.Cmd
	pipe   io.Closer
	stderr bytes.Buffer
	once   sync.Once
	err    error
}

// startReaper is called before anything that it has to end.
func startReaper(dir, shm string, a account) (*reaper, error) {
	r := &reaper{cmd: exec.Command(find("sh"), "-c", reaperScript, "turngate-reaper", dir, shm)}
	pipe, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r.pipe = pipe
	r.cmd.Dir = "/"
	r.cmd.Env = []string{searchPath()}
	r.cmd.Stderr = &r.stderr
	r.cmd.SysProcAttr = a.survivor()
	if err := r.cmd.Start(); err != nil {
		pipe.Close()
		return nil, fmt.Errorf("reaper: %w", err)
	}
	return r, nil
}

// finish has the reaper do its work and waits for it.
func (r *reaper) finish() error {
	r.once.Do(func() {
		timer := time.AfterFunc(closeTimeout, func() { killGroup(r.cmd.Process.Pid) })
		defer timer.Stop()
		r.err = errors.Join(r.pipe.Close(), r.cmd.Wait())
		if r.err != nil {
			r.err = fmt.Errorf("reaper: %w: %s", r.err, strings.TrimSpace(r.stderr.String()))
		}
	})
	return r.err
}
