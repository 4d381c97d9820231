//go:build linux

package realstack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// victimVariable makes the test binary a program that starts a Stack and waits to be killed.
const victimVariable = "TURNGATE_TEST_VICTIM"

// victim prints the private directory, the proxies and then "ready".
func victim() {
	stack, err := Start(context.Background(), Config{Users: users, Log: os.Stderr})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	fmt.Println("dir", stack.Dir)
	for _, p := range stack.Proxies() {
		fmt.Println("proxy", p.URL)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin) // for ever
}

// TestKilled: nothing survives a process that is killed with a Stack running, whether it was root or
// an ordinary user.
func TestKilled(t *testing.T) {
	peers.Need(t, needed...)
	binary := copyOfTestBinary(t)
	for name, credential := range map[string]*syscall.Credential{"as we are": nil, "ordinary user": ordinary(t)} {
		t.Run(name, func(t *testing.T) {
			if name == "ordinary user" && credential == nil {
				t.Skip("not root: the other case was this one")
			}
			cmd := exec.Command(binary)
			cmd.Env = append(os.Environ(), victimVariable+"=1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGKILL}
			cmd.Dir = "/"
			cmd.Stderr = logWriter{t}
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()

			dir, proxies := readVictim(t, stdout)
			tr := tracesOf(t, dir, proxies)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			tr.awaitGone(t)
		})
	}
}

func readVictim(t *testing.T, stdout io.Reader) (dir string, proxies []Proxy) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "dir":
			dir = rest
		case "proxy":
			proxies = append(proxies, Proxy{URL: rest})
		case "ready":
			return dir, proxies
		default:
			t.Fatalf("the victim said %q", lines.Text())
		}
	}
	t.Fatalf("the victim ended before it was ready: %v", lines.Err())
	return "", nil
}

// ordinary is nobody where we are root.
func ordinary(t *testing.T) *syscall.Credential {
	who, err := ownAccount()
	if err != nil {
		t.Fatal(err)
	}
	if !who.drop {
		return nil
	}
	return &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid)}
}

// copyOfTestBinary is where everyone may run it: go test's own directory is closed to others.
func copyOfTestBinary(t *testing.T) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), "victim")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
