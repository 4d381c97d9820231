package service

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/turngate/turngate/turntcp"
)

// metricsAddress is where a service serves its metrics, as its log says.
func (r *running) metricsAddress(t *testing.T) string {
	t.Helper()
	r.log.await(t, "msg=metrics address=", 1)
	return regexp.MustCompile(`msg=metrics address=(\S+)`).FindStringSubmatch(r.log.String())[1]
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// series is the value of one series.
func series(t *testing.T, text, name string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s in\n%s", name, text)
	return 0
}

// What an allocation has relayed stays in the sums when it has ended; neither its user nor an address
// is a label.
func TestMetrics(t *testing.T) {
	r := serve(t, func(dir string, flags map[string][]string) {
		flags["metrics"], flags["audit"] = []string{"127.0.0.1:0"}, []string{filepath.Join(dir, "audit")}
	})
	url := "http://" + r.metricsAddress(t)
	if status, text := get(t, url+"/healthz"); status != 200 || text != "ok\n" {
		t.Errorf("healthz: %d %q", status, text)
	}
	if status, _ := get(t, url+"/readyz"); status != 200 {
		t.Errorf("readyz: %d, want 200", status)
	}
	peer, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	client := turntcp.NewClient(conn, turntcp.ClientConfig{Username: "alice", Password: alicePassword})
	defer client.Close()
	if _, err := client.Allocate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.CreatePermission(t.Context(), netip.MustParseAddr("169.254.169.254")); err == nil {
		t.Error("the metadata service is permitted")
	}
	stranger := r.client(t, "mallory", "x", nil)
	if _, err := stranger.Allocate(t.Context()); err == nil {
		t.Error("a stranger has an allocation")
	}
	stranger.Close()
	noTLS, err := net.Dial("tcp", r.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer noTLS.Close()
	if _, err := io.Copy(noTLS, strings.NewReader("this is no TLS")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, noTLS); err != nil { // until it is closed
		t.Logf("without TLS: %v", err)
	}
	number, err := client.Bind(t.Context(), peer.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.WriteChannel(number, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := peer.ReadFromUDP(make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	// It is counted once it has been sent, and before the connection is read again.
	if _, err := client.Binding(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(live float64) {
		t.Helper()
		_, text := get(t, url+"/metrics")
		for name, want := range map[string]float64{
			"turngate_allocations": live, "turngate_allocations_total": 1, `turngate_relayed_packets_total{direction="up"}`: 1,
			`turngate_relayed_bytes_total{direction="up"}`: 100, `turngate_dropped_packets_total{reason="too_old"}`: 0, "turngate_draining": 0,
			`turngate_authentication_failures_total{reason="unknown user"}`: 1, "turngate_tls_handshake_failures_total": 1,
			`turngate_closed_connections_total{reason="tls_handshake"}`: 1, "turngate_audit_lost_records_total": 0,
			"turngate_audit_trouble": 0,
		} {
			if got := series(t, text, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if !strings.Contains(text, "turngate_refused_peers_total{reason=") || !strings.Contains(text, "go_goroutines") {
			t.Error("no refused peer, or nothing of Go")
		}
		if live == 0 && series(t, text, `turngate_ended_allocations_total{reason="client_closed"}`) != 1 {
			t.Error("the allocation's end is not counted")
		}
		if got := series(t, text, "turngate_client_rtt_seconds_count"); runtime.GOOS == "linux" && got != 1-live {
			t.Errorf("%v round trips, want %v", got, 1-live)
		}
		if strings.Contains(text, "alice") || strings.Contains(text, "mallory") || strings.Contains(text, "127.0.0.1") {
			t.Error("a user or an address is in the metrics")
		}
	}
	check(1)
	client.Close()
	eventually(t, "the allocation has ended", func() bool {
		_, text := get(t, url+"/metrics")
		return series(t, text, "turngate_allocations") == 0
	})
	check(0)
}

// Metrics cannot be reached through a relay, and an address that is taken is said before anybody is
// served.
func TestMetricsAddress(t *testing.T) {
	r := serve(t, func(_ string, flags map[string][]string) { flags["metrics"] = []string{"127.0.0.1:0"} })
	conn, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	client := turntcp.NewClient(conn, turntcp.ClientConfig{Username: "alice", Password: alicePassword})
	defer client.Close()
	if _, err := client.Allocate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Bind(t.Context(), netip.MustParseAddrPort(r.metricsAddress(t))); err == nil {
		t.Error("a relay may reach the metrics, want 403")
	}
}
