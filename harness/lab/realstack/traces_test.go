//go:build linux

package realstack

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traces are what a running Stack leaves on a machine.
type traces struct {
	dir   string
	shm   []string
	ports []string
}

// tracesOf collects them while the Stack runs, and fails the test when there are none: what was never
// there proves nothing by being gone.
func tracesOf(t *testing.T, dir string, proxies []Proxy) traces {
	t.Helper()
	tr := traces{dir: dir}
	tr.shm, _ = filepath.Glob("/dev/shm/" + strings.ReplaceAll(filepath.Base(dir), "-", "") + "*")
	for _, p := range proxies {
		u, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		tr.ports = append(tr.ports, u.Port())
	}
	got := tr.present()
	for _, want := range []string{"directory", "port", "shm", "winbindd", "samba-dcerpcd", "krb5kdc", "squid", "ntlm_auth", "apache2", "tinyproxy"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("no trace of %s while the stack runs, in %q", want, got)
		}
	}
	return tr
}

// present lists what is there now.
func (tr traces) present() (there []string) {
	if _, err := os.Lstat(tr.dir); err == nil {
		there = append(there, "directory "+tr.dir)
	}
	for _, file := range tr.shm {
		if _, err := os.Lstat(file); err == nil {
			there = append(there, "shm "+file)
		}
	}
	for _, port := range tr.ports {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			there = append(there, "port "+port)
		}
	}
	return append(there, processesIn(tr.dir)...)
}

// mustBeGone looks once.
func (tr traces) mustBeGone(t *testing.T) {
	t.Helper()
	if left := tr.present(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// awaitGone waits for what nobody can be asked to wait for.
func (tr traces) awaitGone(t *testing.T) {
	t.Helper()
	for began := time.Now(); time.Since(began) < deadline; time.Sleep(poll) {
		if len(tr.present()) == 0 {
			t.Logf("everything gone after %v", time.Since(began))
			return
		}
	}
	tr.mustBeGone(t)
}

// processesIn lists the processes that have to do with a directory: in their command line, their
// environment, or as where they work. Reapers count too.
func processesIn(dir string) (found []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range processes {
		cmdline, _ := os.ReadFile(proc + "/cmdline")
		environ, _ := os.ReadFile(proc + "/environ")
		cwd, _ := os.Readlink(proc + "/cwd")
		if strings.Contains(string(cmdline)+string(environ)+cwd, dir) && proc != fmt.Sprintf("/proc/%d", os.Getpid()) {
			found = append(found, proc+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// watchProcesses looks for passwords in all command lines and environments of the machine until the
// function that it returns is called.
func watchProcesses(t *testing.T) (stop func()) {
	var looks atomic.Int64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				lookForPasswords(t)
				looks.Add(1)
			}
		}
	}()
	end := sync.OnceFunc(func() { close(quit); <-done })
	t.Cleanup(end) // where the test is skipped, or ends early
	return func() {
		end()
		if looks.Load() < 10 {
			t.Errorf("looked at the processes %d times, want at least 10", looks.Load())
		}
	}
}

func lookForPasswords(t *testing.T) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range append(files, environs...) {
		content, _ := os.ReadFile(file)
		for _, u := range users {
			if bytes.Contains(content, []byte(u.Password)) {
				t.Errorf("the password of %s stands in a process list: %q", u, content)
			}
		}
	}
}
