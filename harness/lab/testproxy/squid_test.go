//go:build unix

package testproxy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

const squidConf = `http_port 127.0.0.1:%[2]s
pid_filename  %[1]s/squid.pid
access_log    none
cache_log     %[1]s/cache.log
coredump_dir  %[1]s
netdb_filename none
pinger_enable off
cache deny all
cache_mem 0 MB
shutdown_lifetime 0 seconds
visible_hostname proxy.example.test
max_filedescriptors 1024
dns_nameservers 127.0.0.1
dns_timeout 1 second
dns_retransmit_interval 1 second
connect_timeout 1 second
hosts_file /etc/hosts
acl lab dstdomain -n 127.0.0.1 .example.test
http_access deny !lab
http_access allow all
`

// Failures on the way to the target are answered as Squid answers them.
func TestSquidAnswersAlike(t *testing.T) {
	peers.Need(t, "squid")
	squid := startSquid(t)
	ours := start(t, &Proxy{DialTimeout: time.Second, LikeSquid: true, Hosts: map[string]string{"localhost": "127.0.0.1"}})
	for name, request := range map[string]string{
		"refused":          connectHead("1.1", "127.0.0.1:"+closedPort(t)),
		"refused HTTP/1.0": connectHead("1.0", "127.0.0.1:"+closedPort(t)),
		"unknown name":     connectHead("1.1", "unknown.example.test:443"),
		"no answer":        connectHead("1.1", silentPort(t)),
		"no brackets":      connectHead("1.1", "::1:443"),
		"port 0":           connectHead("1.1", "127.0.0.1:0"),
		"no HTTP":          "\x16\x03\x01\r\n\r\n",
		"version":          "CONNECT 127.0.0.1:443 HTTP/2.0\r\nHost: a\r\n\r\n",
		"long head":        connectHead("1.1", "127.0.0.1:443", "X: "+strings.Repeat("a", 70000)),
	} {
		got, want := answerOf(t, ours.Addr().String(), request), answerOf(t, squid, request)
		if got != want {
			t.Errorf("%s: we answer %s, Squid %s", name, got, want)
		}
	}
}

// answerOf sums up an answer that ends the connection: version, status, error page.
func answerOf(t *testing.T, addr, request string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := newClient(t, nc)
	c.write(request)
	resp := c.answer()
	c.eof()
	return fmt.Sprintf("%s %d %s", resp.Proto, resp.StatusCode, resp.Header.Get("X-Squid-Error"))
}

// startSquid runs an open Squid until the test ends and returns its address.
func startSquid(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testproxy-squid-") // not t.TempDir: its parent is closed to Squid's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := closedPort(t)
	conf := fmt.Sprintf(squidConf, dir, port)
	if os.Geteuid() == 0 {
		conf += "cache_effective_user nobody\n"
	}
	file := filepath.Join(dir, "squid.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peers.Find("squid"), "-N", "-n", "testproxy"+port, "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // its shared memory outlives a kill
		timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer timer.Stop()
		cmd.Wait()
	})
	addr := "127.0.0.1:" + port
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // it tells nobody when it is ready
		if nc, err := net.Dial("tcp", addr); err == nil {
			nc.Close()
			return addr
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "cache.log"))
			t.Fatalf("squid does not listen: %s", log)
		}
	}
}

// silentPort is an address that answers no SYN: a listener whose queue is full.
func silentPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 {
		nc, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Skip("this kernel's queue has no end")
	return ""
}
