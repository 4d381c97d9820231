package service

import (
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/turntcp"
)

// balance starts HAProxy before a service, as an operator would: by version 1 of the PROXY protocol to its port
// for TCP, by version 2 to that for TLS, of whose health it asks five times a second. It returns where it listens.
func balance(t *testing.T, r *running) (v1, v2 string) {
	t.Helper()
	v1, v2 = freeAddress(t), freeAddress(t)
	conf := write(t, t.TempDir(), "haproxy.cfg", fmt.Sprintf(`
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen v1
  bind %s
  server turngate %s send-proxy source 127.0.0.5
listen v2
  bind %s
  server turngate %s send-proxy-v2 check inter 200ms source 127.0.0.6
`, v1, r.tcp, v2, r.tls))
	cmd := exec.Command(peers.Find("haproxy"), "-db", "-f", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := new(logBuffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy said:\n%s", said)
		}
	})
	return v1, v2
}

// freeAddress is one that nobody has just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Behind HAProxy the audit log names the client and the balancer, and HAProxy's health checks are neither in the
// logs nor among the errors.
func TestBehindHAProxy(t *testing.T) {
	peers.Need(t, "haproxy")
	var audit string
	r := serve(t, func(dir string, flags map[string][]string) {
		audit = filepath.Join(dir, "audit")
		flags["audit"], flags["metrics"] = []string{audit}, []string{"127.0.0.1:0"}
		flags["proxy-protocol-from"] = []string{"127.0.0.5", "127.0.0.6"}
	})
	v1, v2 := balance(t, r)
	metrics := "http://" + r.metricsAddress(t) + "/metrics"
	eventually(t, "health checks are counted", func() bool {
		_, text := get(t, metrics)
		return strings.Contains(text, `turngate_closed_connections_total{reason="health_check"}`)
	})
	for balancer, secure := range map[string]bool{"127.0.0.5": false, "127.0.0.6": true} {
		at := v1
		if secure {
			at = v2
		}
		conn := dialSoon(t, at)
		c := turntcp.NewClient(secured(conn, secure), turntcp.ClientConfig{Username: "alice", Password: alicePassword})
		if _, err := c.Allocate(soon(t)); err != nil {
			t.Fatalf("allocate by %s: %v", balancer, err)
		}
		c.Close()
		eventually(t, "its end is in the audit log", func() bool {
			n := 0
			for _, record := range auditLines(t, audit) {
				client, _ := record["client"].(string)
				if strings.HasPrefix(client, balancer+":") && record["announced"] == conn.LocalAddr().String() {
					n++
				}
			}
			return n == 2 // its begin and its end
		})
	}
	if lines := auditLines(t, audit); len(lines) != 4 {
		t.Errorf("%d records of two allocations, want 4: %v", len(lines), lines)
	}
	if _, text := get(t, metrics); series(t, text, "turngate_tls_handshake_failures_total") != 0 {
		t.Errorf("health checks count as failures:\n%s", text)
	}
	if log := r.log.String(); strings.Contains(log, "for nobody") {
		t.Errorf("health checks are in the log:\n%s", log)
	}
}

// dialSoon connects to who is about to listen.
func dialSoon(t *testing.T, addr string) (conn net.Conn) {
	t.Helper()
	eventually(t, addr+" is listened at", func() (ok bool) {
		var err error
		conn, err = net.DialTimeout("tcp", addr, 10*time.Second)
		return err == nil
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// secured is the connection, or TLS over it.
func secured(conn net.Conn, secure bool) net.Conn {
	if secure {
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	return conn
}
