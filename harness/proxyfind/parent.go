package proxyfind

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// killAfter is what a child has, besides its own limit on time, to start and to say that it is over.
const killAfter = 2 * time.Second

// errLate is the cause of the end of a child that its own limit did not stop.
var errLate = errors.New("late")

// maxAlerts is how much of what a script writes is kept.
const maxAlerts = 20

// run has a script evaluated by a child, which is gone when run returns.
func (f *Finder) run(ctx context.Context, found *Found, q question) (answer string, err error) {
	q.Limit, q.Memory = f.timeout(), cmp.Or(f.Memory, defaultMemory)
	now, addresses := f.Now, f.Addresses
	if now == nil {
		now = time.Now
	}
	if addresses == nil {
		addresses = ownAddresses
	}
	q.Now, q.Addresses = now(), addresses()

	ctx, cancel := context.WithTimeoutCause(ctx, q.Limit+killAfter, errLate)
	defer cancel()
	c, err := f.start(ctx)
	if err != nil {
		return "", &Error{Failure: NoChild, Err: err}
	}
	answer, err = c.ask(q, func(name string) []netip.Addr { return f.lookupFor(ctx, found, name) }, func(text string) {
		if len(found.Alerts) < maxAlerts {
			found.Alerts = append(found.Alerts, clip(text))
		}
	})
	ended := c.end(err)
	var e *Error
	if err == nil || errors.As(err, &e) {
		return answer, err
	}
	return "", c.explain(ctx, q.Limit, ended, err)
}

// A child is a process that runs a script.
type child struct {
	cmd    *exec.Cmd
	stderr bounded
	in     io.Writer
	out    io.Reader
}

func (f *Finder) start(ctx context.Context) (*child, error) {
	command := f.Command
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		command = []string{self, ChildCommand}
	}
	c := &child{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	c.cmd.Env, c.cmd.Dir, c.cmd.WaitDelay, c.cmd.Stderr = []string{}, os.TempDir(), time.Second, &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.cmd.Start()
}

// ask sends the question. A child that reads nothing is killed when its time is over.
func (c *child) ask(q question, lookup func(string) []netip.Addr, alert func(string)) (string, error) {
	if err := json.NewEncoder(c.in).Encode(q); err != nil {
		return "", err
	}
	return converse(c.out, c.in, lookup, alert)
}

// end ends the child and waits for it. One whose output has ended, ends by itself, and is asked how.
func (c *child) end(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return c.cmd.Wait()
	}
	c.cmd.Process.Kill() // it has said all
	_ = c.cmd.Wait()     // that it was killed
	return nil
}

// explain says why a child ended without an answer.
func (c *child) explain(ctx context.Context, limit time.Duration, ended, err error) error {
	text := c.stderr.String()
	stopped := func(format string, args ...any) error {
		return &Error{Failure: Stopped, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case errors.Is(context.Cause(ctx), errLate):
		return stopped("it did not end within %v, nor when it was interrupted, as a backtracking regular expression does not", limit)
	case ctx.Err() != nil:
		return &Error{Failure: Stopped, Err: context.Cause(ctx)}
	case strings.Contains(text, "out of memory"), strings.Contains(text, "failed to allocate"): // the second: with -race
		return stopped("it ran out of its memory")
	case errors.Is(err, errFlood):
		return stopped("%w", err)
	}
	if ended != nil && strings.Contains(ended.Error(), "killed") {
		return stopped("it was killed by its limit on CPU time")
	}
	first, _, _ := strings.Cut(text, "\n")
	return &Error{Failure: NoChild, Err: fmt.Errorf("%w (%v) %s", err, ended, clip(first))}
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	const most = 4096
	b.Buffer.Write(p[:min(len(p), most-min(most, b.Len()))])
	return len(p), nil
}
