//go:build linux

package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/proxyconnect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

const community = "not-so-public"

// A real Squid's cache manager and SNMP agent, with ten tunnels through it.
func TestRealSquid(t *testing.T) {
	peers.Need(t, "squid", "basic_ncsa_auth", "htpasswd")
	port := freeUDP(t)
	stack, err := realstack.Start(within(t, time.Minute), realstack.Config{
		Users: []realstack.User{{Name: "alice", Password: "Sesame-7"}}, Only: []string{"squid/basic"},
		SquidExtra: fmt.Sprintf("snmp_port %d\nsnmp_incoming_address 127.0.0.1\nacl probes snmp_community %s\nsnmp_access allow probes localhost\nsnmp_access deny all", port, community),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stack.Close() })
	squid, err := NewSquid(stack.Proxies()[0].URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer squid.Close()
	agent, err := NewSNMP(fmt.Sprintf("127.0.0.1:%d", port), community, SquidOIDs())
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	before := sample(t, squid, agent)
	const tunnels, bytes = 10, 200_000
	open(t, stack.Proxies()[0].URL, tunnels, bytes)
	after := sample(t, squid, agent)
	for _, name := range []string{"squid.fds_in_use", "snmp.fds_in_use"} {
		if grown := after[name] - before[name]; grown != 2*tunnels {
			t.Errorf("%s grew by %v, want two for each of %d tunnels", name, grown, tunnels)
		}
	}
	if after["squid.fd_limit"] != 8192 || after["squid.basic.active"] < 1 || after["squid.basic.limit"] != 4 || after["squid.max_rss_bytes"] < 1e6 {
		t.Errorf("limits and helpers: %v", after)
	}
	// What the tunnels took is counted while they last; the tunnels themselves are not requests yet.
	seconds := after["seconds"]
	if mb := after["squid.client_mbps_in"] * seconds / 8; mb < 0.9*tunnels*bytes/1e6 || mb > 1.2*tunnels*bytes/1e6 {
		t.Errorf("%.2f MB came from clients, want %.2f", mb, tunnels*bytes/1e6)
	}
	if n := after["squid.basic.requests_per_s"] * seconds; n < 0.5 || n > 1.5 {
		t.Errorf("%.1f questions to the helpers, want one: Squid remembers what was verified", n)
	}
	for _, name := range []string{"squid.cpu_cores", "squid.server_requests_per_s", "snmp.cpu_seconds_per_s", "snmp.client_kb_in_per_s", "snmp.requests_per_s", "squid.helper_queue", "squid.basic.busy"} {
		if _, ok := after[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	wrong, err := NewSNMP(fmt.Sprintf("127.0.0.1:%d", port), "guess", SquidOIDs())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Sample(within(t, time.Second)); err == nil || strings.Contains(err.Error(), "guess") || !strings.Contains(err.Error(), "wrong community") {
		t.Errorf("a wrong community: %v", err)
	}
}

// sample asks both probes; "seconds" is what Squid's rates are over.
func sample(t *testing.T, s *Squid, a *SNMP) map[string]float64 {
	t.Helper()
	ctx := within(t, 10*time.Second)
	before := s.rates.at
	values, err := s.Sample(ctx)
	if err != nil {
		t.Fatal(err)
	}
	more, err := a.Sample(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range more {
		values[k] = v
	}
	values["seconds"] = s.rates.at.Sub(before).Seconds()
	return values
}

// open opens tunnels to something that reads all, and sends bytes into each.
func open(t *testing.T, proxy string, n, bytes int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	read := make(chan int64, n)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				got, _ := io.CopyN(io.Discard, c, int64(bytes))
				read <- got
				io.Copy(io.Discard, c)
			}()
		}
	}()
	d := &proxyconnect.Dialer{Proxy: proxy}
	if err := (credentials.Spec{Auth: "basic", User: "alice", Password: "Sesame-7"}).Apply(d); err != nil {
		t.Fatal(err)
	}
	for range n {
		c, err := d.DialContext(within(t, 20*time.Second), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write(make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
		if got := <-read; got != int64(bytes) {
			t.Fatalf("%d bytes arrived, want %d", got, bytes)
		}
	}
}

func freeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// What a Squid says that does not let us look, and what is no Squid.
func TestRefusals(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusForbidden: "http_access allow localhost manager", http.StatusUnauthorized: "cachemgr_passwd", http.StatusNotFound: "is that a Squid?",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != "geheim" {
				t.Errorf("the password was %q", password)
			}
			w.WriteHeader(status)
		}))
		s, err := NewSquid(server.URL, "geheim")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sample(within(t, time.Second)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%d: %v, want %q", status, err, want)
		}
		s.Close()
		server.Close()
	}
}

// The real node_exporter, twice for the rates.
func TestRealNodeExporter(t *testing.T) {
	peers.Need(t, "prometheus-node-exporter")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(peers.Find("prometheus-node-exporter"), "--web.listen-address="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	m, err := NewMetrics("http://"+address+"/metrics", DefaultMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx := within(t, 20*time.Second)
	for m.rates.last == nil { // until it listens
		if _, err := m.Sample(ctx); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	got, err := m.Sample(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prom.node_cpu_seconds_total_per_s", "prom.node_load1", "prom.node_memory_MemAvailable_bytes", "prom.node_filefd_allocated", "prom.node_netstat_Tcp_RetransSegs_per_s", "prom.process_open_fds"} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing in %v", name, got)
		}
	}
}
