package probe

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"
)

// As Squid 5.7 writes them; the busy helpers are from a morning with too few of them.
const (
	countersPage = "sample_time = 1795665237.45457 (Thu, 26 Nov 2026 03:53:57 GMT)\nclient_http.requests = 12\nclient_http.errors = 1\n" +
		"client_http.kbytes_in = 1000\nclient_http.kbytes_out = 2000\nserver.all.requests = 11\nserver.all.kbytes_in = 1990\npage_faults = 4\ncpu_time = 0.030517\nwall_time = 0.927105\n"
	infoPage = "Squid Object Cache: Version 5.7\nFile descriptor usage for squid:\n\tMaximum number of file descriptors:   8192\n" +
		"\tLargest file desc currently in use:     17\n\tNumber of file desc currently in use:   12\n" +
		"\tFiles queued for open:                   0\n\tAvailable number of file descriptors: 8180\n\tReserved number of file descriptors:   100\n\tMaximum Resident Size: 103872 KB\n"
	helpersPage = "NTLM Authenticator Statistics:\n  program: /usr/bin/ntlm_auth\n  number active: 3 of 16 (0 shutting down)\n  requests sent: 40\n  replies received: 38\n" +
		"  requests timedout: 0\n  queue length: 7\n  avg service time: 21 msec\n\n" +
		"   ID #\t     FD\t    PID\t # Requests\t  # Replies\t# Timed-out\t Flags\t   Time\t Offset\tRequest\n" +
		"      1\t     11\t   7321\t         20\t         19\t          0\tBW    \t  0.000\t      0\tYR TlRM\n" +
		"      2\t     13\t   7322\t         10\t         10\t          0\t   R  \t  0.000\t      0\t(none)\n" +
		"      3\t     14\t   7323\t         10\t          9\t          0\t      \t  0.000\t      0\t(none)\n\n" +
		"Flags key:\n   B\tBUSY\n   W\tWRITING\n   R\tRESERVED\n"
	oldHelpersPage = "Basic Authenticator Statistics:\nnumber active: 1 of 5 (0 shutting down)\nqueue length: 0\navg service time: 2 msec\n\n" +
		"#\tFD\tPID\t# Requests\t# Replies\tFlags\tTime\tOffset\tRequest\n"
	menuPage = " index                 \tCache Manager Interface         \tpublic\n ntlmauthenticator     \tNTLM User Authenticator Stats   \tpublic\n basicauthenticator\tBasic\tpublic\n evilauthenticator\tX\tpublic\n"
)

func TestPages(t *testing.T) {
	values, growing := make(map[string]float64), make(map[string]float64)
	parseCounters(countersPage, growing)
	parseInfo(infoPage, values)
	parseHelpers(helpersPage, "squid.ntlm", values, growing)
	parseHelpers(oldHelpersPage, "squid.basic", values, growing)
	for name, want := range map[string]float64{
		"squid.fd_limit": 8192, "squid.fds_in_use": 12, "squid.fds_reserved": 100, "squid.max_rss_bytes": 103872 * 1024,
		"squid.ntlm.active": 3, "squid.ntlm.limit": 16, "squid.ntlm.queue": 7, "squid.ntlm.service_ms": 21, "squid.ntlm.busy": 2,
		"squid.basic.active": 1, "squid.basic.limit": 5, "squid.basic.queue": 0, "squid.basic.service_ms": 2, "squid.basic.busy": 0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	for name, want := range map[string]float64{
		"squid.cpu_cores": 0.030517, "squid.requests_per_s": 12, "squid.errors_per_s": 1, "squid.client_mbps_in": 8.192, "squid.client_mbps_out": 16.384,
		"squid.server_requests_per_s": 11, "squid.server_mbps_in": 16.30208, "squid.page_faults_per_s": 4, "squid.ntlm.requests_per_s": 40,
	} {
		if got, ok := growing[name]; !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
	if got := strings.Join(helperPages(menuPage), " "); got != "ntlm basic" {
		t.Errorf("helpers %q, want ntlm and basic", got)
	}
}

// A rate needs a value before, and none is told of a counter that has begun anew.
func TestRates(t *testing.T) {
	var r rates
	at := time.Unix(1000, 0)
	for i, c := range []struct {
		counters, want map[string]float64
	}{
		{map[string]float64{"a": 10}, map[string]float64{}},
		{map[string]float64{"a": 30, "b": 5}, map[string]float64{"a": 10}},
		{map[string]float64{"a": 4, "b": 5}, map[string]float64{"b": 0}},
		{map[string]float64{"a": 8}, map[string]float64{"a": 2}},
	} {
		if got := r.next(at.Add(time.Duration(2*i)*time.Second), c.counters); !maps.Equal(got, c.want) {
			t.Errorf("sample %d: %v, want %v", i, got, c.want)
		}
	}
}

const exposition = `# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 100
node_cpu_seconds_total{cpu="0",mode="user"} 7
node_cpu_seconds_total{cpu="1",mode="system"} 5
# TYPE node_load1 gauge
node_load1 0.5
# TYPE node_netstat_Tcp_RetransSegs untyped
node_netstat_Tcp_RetransSegs 9
# TYPE node_network_receive_bytes_total counter
node_network_receive_bytes_total{device="lo"} 1000
node_network_receive_bytes_total{device="eth0"} 70
# TYPE other gauge
other 3
`

func TestMetrics(t *testing.T) {
	m, err := NewMetrics("http://127.0.0.1:9100/metrics", DefaultMetrics())
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.read(strings.NewReader(exposition))
	if err != nil || !maps.Equal(got, map[string]float64{"prom.node_load1": 0.5}) {
		t.Errorf("got %v, %v", got, err)
	}
	want := map[string]float64{"prom.node_cpu_seconds_total_per_s": 12, "prom.node_netstat_Tcp_RetransSegs_per_s": 9, "prom.node_network_receive_bytes_total_per_s": 70}
	if !maps.Equal(m.rates.last, want) {
		t.Errorf("counters %v, want %v", m.rates.last, want)
	}
	if _, err := m.read(strings.NewReader("node_load1 {")); err == nil {
		t.Error("nonsense was read")
	}
}

func FuzzSquidPages(f *testing.F) {
	for _, page := range []string{countersPage, infoPage, helpersPage, oldHelpersPage, menuPage} {
		f.Add(page)
	}
	f.Fuzz(func(t *testing.T, page string) {
		values, growing := make(map[string]float64), make(map[string]float64)
		parseCounters(page, growing)
		parseInfo(page, values)
		parseHelpers(page, "x", values, growing)
		helperPages(page)
		for _, m := range []map[string]float64{values, growing} {
			for name, v := range m {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Errorf("%s is %v", name, v)
				}
			}
		}
	})
}

func FuzzMetrics(f *testing.F) {
	f.Add(exposition)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := NewMetrics("http://127.0.0.1/", []string{"a", "node_load1"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = m.read(strings.NewReader(text))
	})
}

// What is given wrongly is said, without what may be secret.
func TestWrongInput(t *testing.T) {
	for _, c := range []struct {
		what string
		err  error
	}{
		{"Squid with a user", second(NewSquid("http://u:geheim@proxy:3128", ""))},
		{"Squid by ftp", second(NewSquid("ftp://proxy", ""))},
		{"Squid, no URL", second(NewSquid("http://u:geheim@%zz", ""))},
		{"metrics with a user", second(NewMetrics("http://u:geheim@host/metrics", DefaultMetrics()))},
		{"no metric", second(NewMetrics("http://host/metrics", nil))},
		{"no OID", second(NewSNMP("host", "geheim", nil))},
		{"no number", second(NewSNMP("host", "geheim", map[string]string{"a": "1.x"}))},
	} {
		if c.err == nil || strings.Contains(c.err.Error(), "geheim") {
			t.Errorf("%s: got %v", c.what, c.err)
		}
	}
	s, err := NewSNMP("host", "geheim", map[string]string{"up": "1.3.6.1.2.1.1.3.0"})
	if err != nil || s.String() != "SNMP agent host:161" {
		t.Errorf("got %v, %v", s, err)
	}
}

func second[T any](_ T, err error) error { return err }
