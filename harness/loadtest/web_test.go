package loadtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
)

// Pages are fetched beside the calls by the clock, through the proxy and not in the baseline; their time
// counts from when they were due.
func TestWebBesideCalls(t *testing.T) {
	t.Parallel()
	turn := startServer(t)
	p, d := startProxy(t, testproxy.Limits{})
	asked := make(chan string, 1000)
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		time.Sleep(50 * time.Millisecond)
		if served.Add(1)%4 == 0 {
			w.WriteHeader(http.StatusTeapot)
		}
		w.Write(make([]byte, 100_000))
	}))
	defer server.Close()
	lt := newTest(t, "audio", turn, d)
	lt.Web = &Web{Rate: 20, Target: strings.TrimPrefix(server.URL, "http://"), Path: "/page", Dial: d.DialContext}
	r, err := lt.Load(t.Context(), []loadgen.Step{{Calls: 2, Duration: 2 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Steps[1].Figures
	if pages := float64(len(asked)); pages < 40 || f[WebRate] < 10 || f[WebRate] > 20 || f[WebP50] < 50 || f[WebP95] < f[WebP50] {
		t.Errorf("%v pages, figures %v; want 20 per second of more than 50 ms", pages, f)
	}
	if share := f[WebFailedShare]; share < 0.15 || share > 0.35 || r.Steps[1].Tunnels.Causes["web page: the page's server answers 418"] == 0 {
		t.Errorf("%.2f failed, because %v; want a quarter", share, r.Steps[1].Tunnels.Causes)
	}
	if path := <-asked; path != "/page" {
		t.Errorf("asked for %s", path)
	}
	if _, there := r.Steps[0].Figures[WebRate]; there {
		t.Error("the baseline has web traffic")
	}
	through := 0
	for _, a := range p.Records() {
		if a.Tunnel && strings.HasSuffix(server.URL, a.Target) {
			through++
		}
	}
	if through < 40 {
		t.Errorf("%d pages came through the proxy, want all", through)
	}
}
