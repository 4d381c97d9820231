// Package child runs a lab in a process of its own, so that what it costs can be told from what its
// user costs.
//
//	l, err := child.Start(ctx, "--only", "ntlm", "--no-turn")
//	defer l.Close()
//	l.Proxies[0].PID // its CPU is the proxy's
//
// The process is this program again, as "turngate lab --json - --while-stdin", so the caller must be
// turngate, or a test whose TestMain plays it. It ends with the caller, however that ends.
package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/internal/firstbytes"
)

const closeTimeout = 15 * time.Second

// A Lab is a lab in another process.
type Lab struct {
	lab.Document

	cmd    *exec.Cmd
	stdin  io.Closer
	stderr firstbytes.Buffer
	done   chan struct{}
	err    error // how it ended; read after done
	once   sync.Once
}

// Start starts the lab that the arguments of "turngate lab" describe, and waits until it is up. ctx
// bounds the start only; Close ends the lab.
func Start(ctx context.Context, args ...string) (*Lab, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, append([]string{"lab", "--json", "-", "--while-stdin"}, args...)...)
	l := &Lab{cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &l.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("a lab in a process of its own: %w", err)
	}
	l.stdin = stdin
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	described := json.NewDecoder(io.LimitReader(stdout, 1<<20)).Decode(&l.Document)
	go func() {
		io.Copy(io.Discard, stdout)
		l.err = cmd.Wait()
		close(l.done)
	}()
	if !stop() || described != nil {
		l.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("a lab in a process of its own: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("a lab in a process of its own: %s", cleaned(l.stderr.String(), described))
	}
	return l, nil
}

// cleaned is what the process said, or else why its description could not be read.
func cleaned(stderr string, err error) string {
	if text := strings.TrimPrefix(strings.TrimSpace(stderr), "turngate: "); text != "" {
		return text
	}
	return err.Error()
}

// Died waits until the process has ended by itself, and says how, with what it said. It returns nil when
// ctx ends first.
func (l *Lab) Died(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.done:
	}
	text := fmt.Sprintf("process %d of the lab ended by itself: %v", l.cmd.Process.Pid, l.cmd.ProcessState)
	if said := strings.TrimSpace(l.stderr.String()); said != "" {
		text += "; it said: " + said
	}
	return errors.New(text)
}

// Close ends the process and waits for it. It may be called twice.
func (l *Lab) Close() error {
	l.once.Do(func() { l.stdin.Close() })
	select {
	case <-l.done:
	case <-time.After(closeTimeout):
		l.cmd.Process.Kill()
		<-l.done
	}
	return l.err
}
