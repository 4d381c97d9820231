//go:build linux

package realstack

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

func TestStartFails(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want string // in the error
	}{
		{"no user", Config{}, "no user"},
		{"bad name", Config{Users: []User{{"al ice", "x"}}}, `"al ice"`},
		{"twice", Config{Users: []User{alice, alice}}, "twice"},
		{"two lines", Config{Users: []User{{"alice", "a\nb"}}}, "one line"},
		{"half a pair", Config{Users: users, CertPEM: []byte("x")}, "neither"},
		{"unknown part", Config{Users: users, Only: []string{"nosuch"}}, `"nosuch"`},
		{"no host", Config{Users: users, ProxyHost: "a b"}, `"a b"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stack, err := Start(within(t), test.cfg)
			if err == nil {
				stack.Close()
				t.Fatalf("started, want an error with %q", test.want)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want %q in it", err, test.want)
			}
			for _, u := range test.cfg.Users {
				if len(u.Password) > 3 && strings.Contains(err.Error(), u.Password) {
					t.Errorf("the error holds a password")
				}
			}
		})
	}
}

// The error of a start tells what the program said, and nothing stays.
func TestStartFailsInProgram(t *testing.T) {
	peers.Need(t, needed...)
	parent := tempDir(t)
	stack, err := Start(within(t), Config{Users: users, Only: []string{"squid/basic", "winbind"}, SquidExtra: "acl broken nosuchtype x"})
	if err == nil {
		stack.Close()
		t.Fatal("started with a broken squid.conf")
	}
	for _, want := range []string{"squid/basic", "nosuchtype"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	mustBeEmpty(t, parent)
}

func TestStartCancelled(t *testing.T) {
	peers.Need(t, needed...)
	parent := tempDir(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	stack, err := Start(ctx, Config{Users: users})
	if err == nil {
		stack.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	mustBeEmpty(t, parent)
}

// tempDir makes a directory for temporary files as /tmp is one, with a path as short.
func tempDir(t *testing.T) string {
	parent, err := os.MkdirTemp("/tmp", "rs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", parent)
	return parent
}

func mustBeEmpty(t *testing.T, parent string) {
	t.Helper()
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory for temporary files: %v, %v", left, err)
	}
	if left := processesIn(parent); len(left) > 0 {
		t.Errorf("left running: %v", left)
	}
}

// A directory for temporary files that the children cannot use is passed over.
func TestMakeDir(t *testing.T) {
	closed := filepath.Join(tempDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, parent string
		who          account
	}{
		{"closed", closed, account{drop: true, uid: os.Getuid(), gid: os.Getgid()}},
		{"absent", filepath.Join(closed, "absent"), account{}},
		{"blank", filepath.Join(closed, "a b"), account{}},
		{"long", filepath.Join(closed, strings.Repeat("x", 40)), account{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.name != "absent" {
				if err := os.MkdirAll(test.parent, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("TMPDIR", test.parent)
			got, err := test.who.makeDir()
			if err != nil {
				t.Fatal(err)
			}
			defer os.Remove(got)
			if filepath.Dir(got) != "/tmp" {
				t.Errorf("got %s, want a directory in /tmp", got)
			}
		})
	}
}
