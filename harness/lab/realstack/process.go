package realstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A launcher starts children from one thread that lives as long as the Stack: Pdeathsig is sent when
// the thread dies that forked, and Go ends threads as it likes.
type launcher struct {
	jobs chan func()
	quit chan struct{}
	done chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for {
			select {
			case job := <-l.jobs:
				job()
			case <-l.quit:
				return
			}
		}
	}()
	return l
}

// start starts cmd, or fails when the launcher has been closed.
func (l *launcher) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	select {
	case l.jobs <- func() { result <- cmd.Start() }:
		return <-result
	case <-l.quit:
		return errors.New("the stack is closed")
	}
}

func (l *launcher) close() {
	close(l.quit)
	<-l.done
}

// newStack makes the private directory and what must exist before the first child.
func newStack(cfg Config) (*Stack, error) {
	who, err := ownAccount()
	if err != nil {
		return nil, err
	}
	dir, err := who.makeDir()
	if err != nil {
		return nil, err
	}
	s := &Stack{Dir: dir, cfg: cfg, account: who, ports: map[int]bool{}, died: make(chan error, 1)}
	s.reaper, err = startReaper(dir, s.shmPrefix(), who)
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	s.launcher = newLauncher()
	if err := s.mkdir("log"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// shmPrefix begins the names that Squid gives its files in /dev/shm: its service name, which must be
// alphanumeric.
func (s *Stack) shmPrefix() string {
	return strings.ReplaceAll(filepath.Base(s.Dir), "-", "") + "x"
}

// searchPath is the PATH of every child.
func searchPath() string {
	return "PATH=" + strings.Trim(os.Getenv("PATH")+":/usr/sbin:/usr/bin:/sbin:/bin", ":")
}

// command prepares a child that inherits nothing of our environment but PATH: neither a user's
// tickets nor proxy variables may decide a test.
func (s *Stack) command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, find(name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append([]string{searchPath(), "HOME=" + s.Dir, "TMPDIR=" + s.Dir, "LC_ALL=C.UTF-8", marker + "=" + s.Dir}, env...)
	cmd.SysProcAttr = s.account.attributes()
	cmd.Cancel = func() error { killGroup(cmd.Process.Pid); return nil }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// run runs a program to its end, feeds it stdin (where secrets go: never into args, which everyone
// on the machine can read) and returns what it said.
func (s *Stack) run(ctx context.Context, stdin string, env []string, name string, args ...string) (string, error) {
	cmd := s.command(ctx, env, name, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err := s.launcher.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", name, err, tail(out.Bytes(), 400))
	}
	return out.String(), nil
}

// A service is a child that stays.
type service struct {
	name string
	log  string // that it writes besides its output, in the Stack's directory of logs
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// launch starts a service that writes to log/NAME.out.
func (s *Stack) launch(name string, env []string, program string, args ...string) (*service, error) {
	out, err := os.OpenFile(s.path("log", name+".out"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := s.command(context.Background(), env, program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.launcher.start(cmd); err != nil {
		return nil, err
	}
	v := &service{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		v.err = cmd.Wait()
		if v.err == nil {
			v.err = errors.New("exit status 0")
		}
		close(v.done)
	}()
	return v, nil
}

func (v *service) ended() bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// kill ends the service with its process group and waits for it.
func (v *service) kill() {
	if !v.ended() {
		killGroup(v.cmd.Process.Pid)
	}
	<-v.done
}

// keep makes a service that is ready part of the Stack, and sees when it ends by itself.
func (s *Stack) keep(v *service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = append(s.services, v)
	go func() { // until Close ends the service at the latest
		<-v.done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return
		}
		select {
		case s.died <- s.lastWords(v):
		default: // one has been told of
		}
	}()
}

// lastWords say how a service ended, with the end of its logs.
func (s *Stack) lastWords(v *service) error {
	said, _ := os.ReadFile(s.path("log", v.log))
	out, _ := os.ReadFile(s.path("log", v.name+".out"))
	if v.log == v.name+".out" {
		out = nil
	}
	text := fmt.Sprintf("%s ended by itself: %v", v.name, v.err)
	if words := tail(append(said, out...), 400); words != "" {
		text += "; its log ends with: " + strings.ReplaceAll(words, "\n", " | ")
	}
	return errors.New(text)
}

// Died gets how a part ended that was not to: the first one that does, with the end of its log.
func (s *Stack) Died() <-chan error { return s.died }
