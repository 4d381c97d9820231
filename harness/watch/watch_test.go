package watch

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/proxyconnect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rejecting is a proxy that takes no password and counts those it was shown.
func rejecting(t *testing.T) (url string, shown *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shown = new(atomic.Int64)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" {
			shown.Add(1)
		}
		w.Header().Set("Proxy-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String(), shown
}

func target(name, proxy, user string) Target {
	d := &proxyconnect.Dialer{Proxy: proxy, AllowBasicOverHTTP: true}
	account := ""
	if user != "" {
		d.Mechanisms = []proxyconnect.Mechanism{proxyconnect.Basic(user, "wrong")}
		account = "user " + user
	}
	return Target{Name: name, ProxyAccount: account, Check: &diagnosis.Check{Dialer: d, TURN: diagnosis.TURN{Address: "127.0.0.1:1"}, Timeout: 2 * time.Second}}
}

// However often targets are looked at, and however many share an account, a rejected password is shown
// once; other accounts and targets without one go on.
func TestRejectedOnce(t *testing.T) {
	url, shown := rejecting(t)
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looks, stopped := make(map[string]int), make(map[string]int)
	w := &Watch{
		Every: time.Millisecond, Metrics: NewMetrics(registry),
		Targets: []Target{target("a", url, "alice"), target("b", url, "alice"), target("c", url, "bob"), target("open", url, "")},
		Seen: func(r Result) {
			if r.Stopped {
				stopped[r.Target.Name]++
			} else {
				looks[r.Target.Name]++
			}
			if looks["open"] >= 20 && len(stopped) == 3 {
				cancel()
			}
		},
	}
	w.Run(ctx)
	if n := shown.Load(); n != 2 {
		t.Errorf("passwords were shown %d times, want once for each of two accounts", n)
	}
	if looks["a"] != 1 || looks["b"] != 0 || looks["c"] != 1 || stopped["b"] != 1 || stopped["a"] != 1 {
		t.Errorf("looks %v, stopped %v; want one at a and c, none at b, each stopped and told once", looks, stopped)
	}
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`turngate_check_success{target="a"} 0`, `turngate_check_stopped{target="a"} 1`, `turngate_check_stopped{target="b"} 1`,
		`turngate_check_finding{code="proxy.auth-rejected",target="a"} 1`, `turngate_check_runs_total{result="failure",target="a"} 1`,
		`turngate_check_stopped{target="open"} 0`, `turngate_check_finding{code="proxy.no-common-scheme",target="open"} 1`,
	} {
		if !hasLine(page.Body.String(), line) {
			t.Errorf("no line %s in\n%s", line, page.Body)
		}
	}
	if strings.Contains(page.Body.String(), `turngate_check_success{target="b"}`) {
		t.Error("a result of a target that was never looked at")
	}
	w.Metrics.Keep([]Target{{Name: "a"}}, w.Targets)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if got := m.Label[len(m.Label)-1].GetValue(); got != "a" {
				t.Errorf("%s still has %s", f.GetName(), got)
			}
		}
	}
}

func hasLine(text, line string) bool {
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if s.Text() == line {
			return true
		}
	}
	return false
}

// A finding of the look before is 0 after one without it.
func TestFindingEnds(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	failed := Result{Target: Target{Name: "a"}, Findings: []diagnosis.Finding{{Code: "proxy.timeout"}}}
	m.add(failed)
	m.add(Result{Target: Target{Name: "a"}, Report: diagnosis.Report{Stages: []diagnosis.Stage{{Name: diagnosis.StageMedia, Outcome: diagnosis.OK}}, Media: &diagnosis.Media{RTT: []float64{3}}}})
	metrics := make(chan prometheus.Metric, 99)
	m.finding.Collect(metrics)
	m.lastSuccess.Collect(metrics)
	if n := len(metrics); n != 2 {
		t.Errorf("%d figures, want the old finding and the time of the success", n)
	}
}
