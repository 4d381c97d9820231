package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A process of the lab that is killed ends the run at once: it says which and how, and what was measured
// is written. A proxy that dies under load has failed; without the TURN server nothing can be judged.
func TestLabDies(t *testing.T) {
	for _, test := range []struct {
		name, victim string
		more         []string
		statuses     []int // a machine that is too slow for the generator makes a failure void
		says         string
	}{
		{"proxy", "--no-turn", nil, []int{exitFail, exitVoid}, `the proxy has died: process \d+ of the lab ended by itself: signal: killed`},
		{"server", "--no-proxies", []string{"--processes", "2"}, []int{exitVoid}, `the TURN server has died: process \d+ of the lab ended by itself: signal: killed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.json")
			args := []string{"load", "--auth", "basic", "--calls", "2", "--profile", "audio", "--baseline", "1s", "--duration", "1h", "--ui", "plain", "--json", out}
			p := start(t, nil, append(args, test.more...)...)
			p.await(t, "direct, 2 calls    ")
			p.await(t, " 2 calls")
			p.kill(t, test.victim)
			for line := range p.lines {
				p.all = append(p.all, line)
			}
			p.Wait()
			text := strings.Join(p.all, "\n")
			if !slices.Contains(test.statuses, p.ProcessState.ExitCode()) || !regexp.MustCompile(`(?m)^  `+test.says+`$`).MatchString(text) {
				t.Errorf("exit status %d, want one of %v, and %q:\n%s", p.ProcessState.ExitCode(), test.statuses, test.says, text)
			}
			r := recordOf(t, out)
			if last := r.Steps[len(r.Steps)-1]; !r.Partial || last.Direct || !last.Partial || r.Steps[0].Up.Received == 0 {
				t.Errorf("the record: partial %v, the last step %q, partial %v; %d packets in the first", r.Partial, last.Name, last.Partial, r.Steps[0].Up.Received)
			}
		})
	}
}

// kill kills the process of the program that has the argument.
func (p *program) kill(t *testing.T, argument string) {
	t.Helper()
	for _, line := range processes(p.tmp) {
		if strings.Contains(line, " lab ") && strings.Contains(line, argument) {
			pid, err := strconv.Atoi(strings.TrimPrefix(strings.Fields(line)[0], "/proc/"))
			if err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
				t.Fatalf("%s: cannot be killed, %v", line, err)
			}
			return
		}
	}
	p.Process.Signal(os.Interrupt)
	t.Fatalf("no process has %s among %q", argument, processes(p.tmp))
}
