//go:build linux

package turntcp

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// nobody is whom daemons run as when the tests run as root.
const nobody = 65534

// startDaemon runs a program in dir, as an ordinary user, until the test ends.
func startDaemon(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	path := peers.Find(name)
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	out := new(logBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ordinaryUser(t, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out)
		}
	})
}

func ordinaryUser(t testing.TB, dir string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return attr
}

// daemonDir is a directory that an ordinary user can reach; t.TempDir may lie within a private one.
func daemonDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "turntcp-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// turnutilsPeer is coturn's UDP echo server.
func turnutilsPeer(t testing.TB) netip.AddrPort {
	t.Helper()
	peers.Need(t, "turnutils_peer")
	at := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	startDaemon(t, daemonDir(t), "turnutils_peer", "-L", loopback.String(), "-p", strconv.Itoa(int(at.Port())))
	probe, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	eventually(t, "turnutils_peer echoes", func() bool {
		_, _ = probe.Write([]byte("?"))
		_ = probe.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, _ := probe.Read(make([]byte, 10))
		return n > 0
	})
	return at
}

// coturn is a coturn server on loopback; it returns its addresses by transport.
func coturn(t testing.TB) map[string]string {
	t.Helper()
	peers.Need(t, "turnserver")
	dir := daemonDir(t)
	path, addr := coturnConfig(t, dir, loopback)
	startDaemon(t, dir, "turnserver", "-c", path)
	for _, a := range addr {
		eventually(t, "coturn listens on "+a, func() bool {
			c, err := net.DialTimeout("tcp", a, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return addr
}

// coturnConfig writes a configuration of coturn, and returns its addresses by transport.
func coturnConfig(t testing.TB, dir string, ip netip.Addr) (path string, addr map[string]string) {
	t.Helper()
	cert, key := writeCertificate(t, dir)
	tcp, secure := freePort(t), freePort(t)
	conf := fmt.Sprintf(`listening-ip=%[9]v
relay-ip=127.0.0.1
listening-port=%[1]d
tls-listening-port=%[2]d
realm=%[3]s
fingerprint
lt-cred-mech
user=%[4]s:%[5]s
cert=%[6]s
pkey=%[7]s
no-udp
no-dtls
allow-loopback-peers
no-cli
userdb=%[8]s/turndb
pidfile=%[8]s/turn.pid
log-file=stdout
simple-log
relay-threads=1
`, tcp, secure, testRealm, testUser, testPassword, cert, key, dir, ip)
	path = filepath.Join(dir, "turn.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, map[string]string{"tcp": fmt.Sprintf("%v:%d", ip, tcp), "tls": fmt.Sprintf("%v:%d", ip, secure)}
}

// writeCertificate writes the test certificate and its key, readable for the daemon.
func writeCertificate(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	c, _ := certificate()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// uclient runs coturn's load client and returns what it said.
func uclient(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peers.Find("turnutils_uclient"), args...)
	cmd.WaitDelay = time.Second
	out := new(logBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	return out.String(), err
}
