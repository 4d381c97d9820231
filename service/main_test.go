package service

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/turntcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects what is written by any number of goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// await waits until the text was written so many times.
func (l *logBuffer) await(t *testing.T, text string, times int) {
	t.Helper()
	eventually(t, text+" is written", func() bool { return strings.Count(l.String(), text) >= times })
}

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// write writes a file of the test's own directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeCertificate writes cert.pem and key.pem for 127.0.0.1 with a serial number.
func writeCertificate(t *testing.T, dir string, serial int64, notAfter time.Time) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

// A running service, with users alice and bob, that ends with the test.
type running struct {
	dir      string
	tcp, tls string // addresses
	out, log *logBuffer
	signals  chan os.Signal
	ended    chan error
}

const (
	alicePassword = "alice's own"
	bobPassword   = "bob's own"
	firstSecret   = "north star"
)

func serve(t *testing.T, change func(dir string, flags map[string][]string)) *running {
	t.Helper()
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, 1, time.Now().Add(time.Hour))
	flags := map[string][]string{
		"listen": {"tcp://127.0.0.1:0", "tls://127.0.0.1:0"}, "cert": {cert}, "key": {key},
		"realm": {"test"}, "relay-ip": {"127.0.0.1"}, "allow-peer": {"127.0.0.1"}, "max-connections": {"100"},
		"users":            {write(t, dir, "users", "alice:"+alicePassword+"\n")},
		"auth-secret-file": {write(t, dir, "secrets", firstSecret+"\n")},
	}
	if change != nil {
		change(dir, flags)
	}
	cfg, err := Load(Sources{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{dir: dir, out: new(logBuffer), log: new(logBuffer), signals: make(chan os.Signal, 8), ended: make(chan error, 1)}
	ready := make(chan []net.Addr, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		r.ended <- Serve(ctx, cfg, Process{Stdout: r.out, Stderr: r.log, Signals: r.signals,
			Ready: func(addrs []net.Addr) { ready <- addrs }})
	}()
	t.Cleanup(func() {
		cancel()
		r.signals <- syscall.SIGTERM
		r.wait(t)
		r.checkSecrets(t)
	})
	select {
	case addrs := <-ready:
		r.tcp, r.tls = addrs[0].String(), addrs[1].String()
	case err := <-r.ended:
		t.Fatalf("the service did not start: %v", err)
	}
	return r
}

// wait waits for the end of the service, which must have no error.
func (r *running) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the service ended with %v", err)
		}
		r.ended <- nil // for whoever waits again
	case <-time.After(20 * time.Second):
		t.Fatalf("the service does not end; its log:\n%s", r.log)
	}
}

func (r *running) checkSecrets(t *testing.T) {
	t.Helper()
	for _, secret := range []string{alicePassword, bobPassword, firstSecret} {
		if strings.Contains(r.log.String()+r.out.String(), secret) {
			t.Errorf("the log or the audit log shows the secret %q", secret)
		}
	}
}

// client returns a client on a connection of its own.
func (r *running) client(t *testing.T, user, password string, onData func(turntcp.Data)) *turntcp.Client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.tcp, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c := turntcp.NewClient(conn, turntcp.ClientConfig{Username: user, Password: password, OnData: onData})
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *running) allocate(t *testing.T, user, password string, onData func(turntcp.Data)) *turntcp.Client {
	t.Helper()
	c := r.client(t, user, password, onData)
	if _, err := c.Allocate(soon(t)); err != nil {
		t.Fatalf("allocate as %s: %v", user, err)
	}
	return c
}

// serial is that of the certificate which the server shows.
func (r *running) serial(t *testing.T) int64 {
	t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := d.DialContext(soon(t), "tcp", r.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
