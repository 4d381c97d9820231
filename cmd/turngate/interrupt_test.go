package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/internal/peers"
)

// A program is turngate in a process and a temporary directory of its own.
type program struct {
	*exec.Cmd
	lines chan string // of standard output and error
	all   []string
	tmp   string
}

func start(t *testing.T, stdin io.Reader, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp, err := os.MkdirTemp("", "tg-interrupt-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // for the lab's ordinary user
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	p := &program{Cmd: exec.Command(self, args...), lines: make(chan string, 10000), tmp: tmp}
	p.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+tmp)
	p.Stdin = stdin
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout, p.Stderr = writer, writer
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(reader); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// await reads the output up to a line with the text.
func (p *program) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(90 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if p.all = append(p.all, line); strings.Contains(line, text) {
				return
			}
			if !ok {
				t.Fatalf("ended without %q:\n%s", text, strings.Join(p.all, "\n"))
			}
		case <-timeout:
			p.Process.Kill()
			t.Fatalf("no %q within the time:\n%s", text, strings.Join(p.all, "\n"))
		}
	}
}

// interrupt sends what ^C sends and checks how the program ends and what it leaves behind.
func (p *program) interrupt(t *testing.T, status int) {
	t.Helper()
	names := shmNames(t, p.tmp)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(60*time.Second, func() { p.Process.Signal(syscall.SIGQUIT) })
	defer kill.Stop()
	for line := range p.lines {
		p.all = append(p.all, line)
	}
	p.Wait()
	if got := p.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d, want %d:\n%s", got, status, strings.Join(p.all, "\n"))
	}
	for _, name := range names {
		if left, _ := filepath.Glob("/dev/shm/" + name + "*"); len(left) > 0 {
			t.Errorf("left in shared memory: %q", left)
		}
	}
	p.checkNothingLeft(t)
}

func (p *program) checkNothingLeft(t *testing.T) {
	t.Helper()
	if entries, err := os.ReadDir(p.tmp); err != nil || len(entries) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", entries, err)
	}
	if left := processes(p.tmp); len(left) > 0 {
		t.Errorf("processes left: %q", left)
	}
	for _, u := range regexp.MustCompile(`https?://localhost:\d+`).FindAllString(strings.Join(p.all, "\n"), -1) {
		parsed, _ := url.Parse(u)
		if conn, err := net.Dial("tcp", parsed.Host); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s", parsed.Host)
		}
	}
}

// shmNames are the beginnings of names in shared memory that belong to what runs in dir: Squid's are
// made of the name of the real lab's directory. (Others' Squids may run beside this test.)
func shmNames(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, strings.ReplaceAll(e.Name(), "-", ""))
	}
	return names
}

// processes returns the command lines of processes that name the directory in arguments or
// environment.
func processes(dir string) (found []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		for _, file := range []string{"cmdline", "environ"} {
			if text, err := os.ReadFile(filepath.Join(proc, file)); err == nil && bytes.Contains(text, []byte(dir)) {
				line, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
				found = append(found, proc+" "+strings.ReplaceAll(string(line), "\x00", " "))
				break
			}
		}
	}
	return found
}

func TestInterruptEmbeddedLab(t *testing.T) {
	p := start(t, nil, "lab", "--fault", "403")
	p.await(t, "kinit alice")
	p.interrupt(t, exitOK)
}

func TestInterruptRealLab(t *testing.T) {
	peers.Need(t, "squid", "apache2", "krb5kdc", "winbindd", "ntlm_auth", "tinyproxy", "mod_auth_gssapi.so")
	p := start(t, nil, "lab", "--lab", "real")
	p.await(t, "kinit alice")
	p.interrupt(t, exitOK)
}

// Interrupted while the real lab is still starting, when half of its processes run.
func TestInterruptRealLabStarting(t *testing.T) {
	peers.Need(t, "squid", "apache2", "krb5kdc", "winbindd", "ntlm_auth", "tinyproxy", "mod_auth_gssapi.so")
	p := start(t, nil, "lab", "--lab", "real", "-v")
	p.await(t, "kdc") // the first part is ready
	p.interrupt(t, exitVoid)
}

// What was measured before the interruption is written, marked partial.
func TestInterruptMatrix(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.json")
	p := start(t, nil, "matrix", "--run", "ntlm", "--json", out)
	p.await(t, "2/")
	p.interrupt(t, exitVoid)
	text, err := os.ReadFile(out)
	if err != nil || !bytes.Contains(text, []byte(`"partial": true`)) || !bytes.Contains(text, []byte(`"name": "ntlm/http-proxy/turn/udp/embedded"`)) {
		t.Errorf("the results are not what was measured: %v\n%s", err, text)
	}
}

func TestInterruptConnect(t *testing.T) {
	l, proxy := labProxy(t, lab.SchemeBasic)
	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		if conn, err := greeter.Accept(); err == nil {
			io.WriteString(conn, "hello\n")
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	stdin, writer, err := os.Pipe() // stays open, so that only the signal can end it
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	args := append(connectArgs(t, proxy.URL, "basic", l.User.Name, l.User.Password), greeter.Addr().String())
	p := start(t, stdin, args...)
	p.await(t, "hello")
	p.interrupt(t, exitVoid)
}

// A run that is killed leaves what it had measured, marked partial: the step that was under way, too.
func TestKillLoad(t *testing.T) {
	for _, processes := range []string{"1", "2"} {
		t.Run(processes, func(t *testing.T) {
			t.Parallel()
			killLoad(t, "--processes", processes)
		})
	}
}

func killLoad(t *testing.T, more ...string) {
	out := filepath.Join(t.TempDir(), "out.json")
	p := start(t, nil, append([]string{"load", "--calls", "2", "--profile", "audio", "--baseline", "1s", "--duration", "1h", "--json", out}, more...)...)
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if text, err := os.ReadFile(out); err == nil && bytes.Contains(text, []byte(`"name": "2 calls"`)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no record was kept")
		}
	}
	p.Process.Kill()
	p.Wait()
	r := recordOf(t, out)
	last := r.Steps[len(r.Steps)-1]
	if !r.Partial || last.Direct || !last.Partial || last.Up.Received == 0 || last.Up.Delay.Count() == 0 || last.Seconds <= 0 {
		t.Errorf("the record: partial %v, and at last %q, partial %v, with %d packets in %.1f s", r.Partial, last.Name, last.Partial, last.Up.Received, last.Seconds)
	}
	if r.Steps[0].Partial || !r.Steps[0].Direct {
		t.Errorf("the baseline, which had ended: %q, partial %v", r.Steps[0].Name, r.Steps[0].Partial)
	}
	for deadline := time.Now().Add(10 * time.Second); len(processes(p.tmp)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what it had started outlives it: %q", processes(p.tmp))
		}
	}
}
