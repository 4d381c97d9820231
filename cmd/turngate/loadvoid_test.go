package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A generator that gets a twentieth of a core cannot judge a proxy: void, whatever the figures were. The
// process is stopped and continued as a scheduler does it that enforces a quota.
func TestStarvedGeneratorIsVoid(t *testing.T) {
	p := start(t, nil, "load", "--auth", "basic", "--profile", "720p", "--calls", "10", "--duration", "3s", "--baseline", "1s",
		"--objective", "delay_p95_ms=1", "--objective", "late_100ms_share=0", "--objective", "jitter_p95_ms=0")
	p.await(t, "direct, 10 calls")
	starve(t, p.Process)
	for line := range p.lines {
		p.all = append(p.all, line)
	}
	err := p.Wait()
	text := strings.Join(p.all, "\n")
	if p.ProcessState.ExitCode() != exitVoid || strings.Contains(text, "FAIL") || !strings.Contains(text, "the generator was late") {
		t.Errorf("%v; want exit status %d, because the generator was late:\n%s", err, exitVoid, text)
	}
}

// starve lets a process run for 5 ms of every 100 until the test ends.
func starve(t *testing.T, p *os.Process) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(quit); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if p.Signal(syscall.SIGSTOP) != nil {
				return // it has ended
			}
			time.Sleep(95 * time.Millisecond)
			if p.Signal(syscall.SIGCONT) != nil {
				return
			}
		}
	}()
}
