package loadtest

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

func TestDescendants(t *testing.T) {
	all := make(map[int]procfs.ProcStat)
	for pid, parent := range map[int]int{1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20, 30: 1, 31: 30} {
		all[pid] = procfs.ProcStat{PID: pid, PPID: parent, UTime: uint(pid)}
	}
	sum := uint(0)
	for _, s := range descendants(all, []int{10, 12, 20, 99}) { // overlapping, and one that has ended
		sum += s.UTime
	}
	if want := uint(10 + 11 + 12 + 20 + 21); sum != want {
		t.Errorf("the descendants' sum is %d, want %d", sum, want)
	}
}

func TestListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0C38 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0C38 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: 00000000:0C39 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
   3: cut
`
	got := make(map[string]bool)
	if listening(table, 3128, got); len(got) != 1 || !got["socket:[4711]"] {
		t.Errorf("got %v, want the socket that listens at 3128", got)
	}
}

// What runs here is found by the port that it listens at, or is said to be unknown.
func TestFindsProxyAndServer(t *testing.T) {
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{})
	lt := newTest(t, "audio", turn, d)
	w, unknown := lt.watchOthers(t.Context())
	if roots := w.(*others).roots; unknown != "" || !slices.Equal(roots, []int{os.Getpid(), os.Getpid(), os.Getpid()}) {
		t.Errorf("roots %v, unknown %q; want this process thrice", roots, unknown)
	}
	lt.Path.Proxy = "http://127.0.0.1:9" // nobody listens
	if _, unknown := lt.watchOthers(t.Context()); !strings.Contains(unknown, "the proxy may run here") || !strings.Contains(unknown, "--proxy-pid") {
		t.Errorf("unknown %q, want that the proxy may run here", unknown)
	}
	watch, err := WatchProcess(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	lt.Watches = []Watch{watch} // who watches it knows it
	if _, unknown := lt.watchOthers(t.Context()); unknown != "" {
		t.Errorf("unknown %q of a proxy that is watched", unknown)
	}
}

// A proxy is not blamed while strangers take the machine.
func TestBesideOthers(t *testing.T) {
	burn(t, runtime.NumCPU())
	turn := startServer(t)
	_, d := startProxy(t, testproxy.Limits{Delay: 100 * time.Millisecond})
	lt := newTest(t, "audio", turn, d)
	lt.AnyMachine = false
	r, err := lt.Load(t.Context(), []loadgen.Step{{Calls: 2, Duration: 3 * time.Second}})
	if err != nil || len(r.Steps) == 0 {
		t.Fatal(err, r.Reasons)
	}
	s := r.Steps[len(r.Steps)-1]
	if r.Verdict != measure.Void || !strings.Contains(strings.Join(s.Reasons, ";"), "other programs took") {
		t.Errorf("verdict %s, %q; want void because of others, with %v", r.Verdict, s.Reasons, s.Figures)
	}
}

// burn starts processes that take all the CPU they get, and are nobody's descendants.
func burn(t *testing.T, n int) {
	t.Helper()
	for range n {
		out, err := exec.Command("sh", "-c", `timeout 30 sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $!`).Output()
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // timeout hands it on
	}
}
