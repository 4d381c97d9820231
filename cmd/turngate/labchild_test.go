package main

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/child"
)

func TestLabInAProcessOfItsOwn(t *testing.T) {
	t.Setenv(asProgram, "1")
	l, err := child.Start(t.Context(), "--only", "ntlm", "--limit", "mbps=10,tunnels=3")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.Proxies) != 2 || l.Proxies[0].PID == os.Getpid() || l.Proxies[0].Scheme != "ntlm" || l.TURN.PID != l.Proxies[0].PID {
		t.Errorf("got %+v", l.Document)
	}
	for _, file := range []string{l.PasswordFile, l.TURN.PasswordFile, l.CA} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", file, info, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.TURN.TCP); err == nil {
		c.Close()
		t.Error("the TURN server lives after Close")
	}
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is there after Close: %v", err)
	}
}

func TestLabInAProcessOfItsOwnFails(t *testing.T) {
	t.Setenv(asProgram, "1")
	_, err := child.Start(t.Context(), "--only", "rot13")
	if err == nil || !strings.Contains(err.Error(), `no proxy has the scheme "rot13"`) {
		t.Errorf("got %v, want what the process said", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := child.Start(ctx); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("got %v, want the deadline", err)
	}
}
