package service

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/turntcp"
)

func TestLiveDue(t *testing.T) {
	created := time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC)
	tests := []struct {
		last, now time.Duration // since then
		want      bool
	}{
		{-time.Second, 15 * time.Second, false},
		{285 * time.Second, 299 * time.Second, false},
		{285 * time.Second, 300 * time.Second, true},
		{299 * time.Second, 314 * time.Second, true},
		{300 * time.Second, 315 * time.Second, false},
		{time.Hour - time.Second, time.Hour, true},
	}
	for _, tt := range tests {
		if got := liveDue(created, created.Add(tt.last), created.Add(tt.now)); got != tt.want {
			t.Errorf("from %v to %v: got %v, want %v", tt.last, tt.now, got, tt.want)
		}
	}
}

// While an allocation lives the audit log says every five minutes what it has relayed with whom.
func TestAuditLive(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit")
	cfg, err := Load(Sources{Flags: map[string][]string{"listen": {"tcp://127.0.0.1:0"}, "realm": {"test"}, "relay-ip": {"127.0.0.1"},
		"allow-peer": {"127.0.0.1"}, "users": {write(t, dir, "users", "alice:"+alicePassword+"\n")}, "audit": {path}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(cfg, Process{Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := s.start()
	if err != nil {
		t.Fatal(err)
	}
	c := startCall(t, &running{tcp: addrs[0].String()})
	c.check(t, "eleven here")
	began := time.Now()
	s.lastTick = began
	for now := began; now.Before(began.Add(11 * time.Minute)); now = now.Add(liveTick) {
		s.auditLive(now)
	}
	if err := errors.Join(s.server.Close(), s.logs.close()); err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, r := range auditLines(t, path) {
		if r["msg"] != "live" {
			continue
		}
		live++
		peers, _ := json.Marshal(r["peers"])
		want := fmt.Sprintf(`[{"down":{"bytes":11,"packets":1},"peer":"%s","up":{"bytes":11,"packets":1}}]`, c.peer.LocalAddr())
		if string(peers) != want || r["user"] != "alice" || r["reason"] != nil {
			t.Errorf("got %v, want alice's traffic with %s", r, want)
		}
	}
	if live != 2 {
		t.Errorf("%d records in 11 minutes, want 2", live)
	}
}

// tryAllocate is the code of the refusal, 0 for none.
func tryAllocate(t *testing.T, r *running) int {
	t.Helper()
	c := r.client(t, "alice", alicePassword, nil)
	defer c.Close()
	var refused *turntcp.Error
	if _, err := c.Allocate(soon(t)); errors.As(err, &refused) {
		return refused.Code
	} else if err != nil {
		t.Fatal(err)
	}
	return 0
}

// With --audit-strict nobody gets an allocation that goes unrecorded, until the log says what is missing.
func TestAuditStrict(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	var path string
	r := serve(t, func(dir string, flags map[string][]string) {
		path = filepath.Join(dir, "audit")
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		flags["audit"], flags["audit-strict"], flags["metrics"] = []string{path}, []string{"true"}, []string{"127.0.0.1:0"}
	})
	readyz := "http://" + r.metricsAddress(t) + "/readyz"
	if status, text := get(t, readyz); status != http.StatusOK {
		t.Errorf("before: %d %s", status, text)
	}
	c := startCall(t, r)
	r.log.await(t, `"audit log: records are lost"`, 1)
	if got := tryAllocate(t, r); got != 508 {
		t.Errorf("with a full disk: got %d, want 508", got)
	}
	r.log.await(t, `level=WARN msg="allocation refused"`, 1)
	r.log.await(t, "the audit log is not whole: write", 1)
	if status, text := get(t, readyz); status != http.StatusServiceUnavailable {
		t.Errorf("with a full disk: %d %s, want 503", status, text)
	}
	c.check(t, "a call that stands")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGHUP
	eventually(t, "allocations are admitted again", func() bool { return tryAllocate(t, r) == 0 })
	if lost := auditLines(t, path)[0]; lost["msg"] != "records lost" || lost["count"].(float64) < 3 {
		t.Errorf("the new log begins with %v, want how many records are lost", lost)
	}
}

// A pipe that nobody reads costs nobody a call, and what is in it arrives when somebody does.
func TestAuditPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if f, err := openAudit(path, 0); err == nil || err.Error() != path+": nobody reads this pipe" {
		t.Errorf("without a reader: got %v, %v", f, err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	r := serve(t, func(_ string, flags map[string][]string) { flags["audit"] = []string{path} })
	call, churn := startCall(t, r), r.client(t, "alice", alicePassword, nil)
	const times = 300 // of two records each, some 150 KB; a pipe holds 64
	for range times {
		if _, err := churn.Allocate(soon(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := churn.Refresh(soon(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	call.check(t, "nobody reads")
	records := 0
	want := 2*times + 2 // and the call's
	lines := bufio.NewScanner(reader)
	for records < want && lines.Scan() {
		var record map[string]any
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil || record["msg"] == "records lost" {
			t.Fatalf("%v in %q", err, lines.Bytes())
		}
		records++
	}
	if records != want {
		t.Errorf("%d records arrived, want %d: %v", records, want, lines.Err())
	}
}

// Rotated while allocations come and go, the files together have every record, each whole.
func TestAuditRotation(t *testing.T) {
	var path string
	r := serve(t, func(dir string, flags map[string][]string) {
		path = filepath.Join(dir, "audit")
		flags["audit"] = []string{path}
	})
	const workers, rotations = 4, 10
	stop := make(chan struct{})
	var busy sync.WaitGroup
	var mu sync.Mutex
	want := 0
	for range workers {
		c := r.client(t, "alice", alicePassword, nil)
		busy.Go(func() {
			for times := 0; ; times++ {
				select {
				case <-stop:
					mu.Lock()
					want += times
					mu.Unlock()
					return
				default:
				}
				_, err1 := c.Allocate(soon(t))
				_, err2 := c.Refresh(soon(t), 0)
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range rotations {
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
			t.Fatal(err)
		}
		r.signals <- syscall.SIGHUP
		eventually(t, "the file was opened anew", func() bool { _, err := os.Stat(path); return err == nil })
	}
	close(stop)
	busy.Wait()
	r.signals <- syscall.SIGTERM
	r.wait(t)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != rotations+1 {
		t.Fatalf("got the files %v, %v, want %d", files, err, rotations+1)
	}
	got := make(map[any]int)
	for _, f := range files {
		for _, record := range auditLines(t, f) {
			got[record["msg"]]++
		}
	}
	if want == 0 || got["allocation created"] != want || got["allocation deleted"] != want || len(got) != 2 {
		t.Errorf("got %v, want %d allocations created and deleted", got, want)
	}
}
