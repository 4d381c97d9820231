//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

const (
	realm    = "bench.example"
	user     = "bench"
	password = "bench" // of a server on loopback that lives for a minute
)

// A server is one of those measured, in a process of its own.
type server struct {
	name string
	at   place
	cmd  *exec.Cmd
	out  *bytes.Buffer
	addr map[string]string // by transport
	dir  string
	done chan struct{}
}

// start starts a server and waits until it listens.
func start(ctx context.Context, s settings, name string, at place) (*server, error) {
	dir, err := os.MkdirTemp("/tmp", "relaybench-")
	if err != nil {
		return nil, err
	}
	srv := &server{name: name, at: at, dir: dir, out: new(bytes.Buffer), done: make(chan struct{})}
	args, err := srv.configure(s)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	args = append([]string{"taskset", "-c", strconv.Itoa(s.cores.server)}, args...)
	if at.netns != "" {
		args = append([]string{peers.Find("ip"), "netns", "exec", at.netns}, args...)
	}
	srv.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	srv.cmd.Dir = dir
	srv.cmd.WaitDelay = 5 * time.Second
	srv.cmd.Stdout, srv.cmd.Stderr = srv.out, srv.out
	srv.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	srv.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := srv.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	go func() { defer close(srv.done); _ = srv.cmd.Wait() }()
	if err := srv.awaitListening(ctx); err != nil {
		srv.stop()
		return nil, fmt.Errorf("%w; it said: %s", err, srv.out)
	}
	return srv, nil
}

func (srv *server) pid() int { return srv.cmd.Process.Pid }

// configure writes what the server needs and returns its command.
func (srv *server) configure(s settings) ([]string, error) {
	cert, key, err := writeCertificate(srv.dir)
	if err != nil {
		return nil, err
	}
	tcp, err := srv.at.freePort()
	if err != nil {
		return nil, err
	}
	secure, err := srv.at.freePort()
	if err != nil {
		return nil, err
	}
	srv.addr = map[string]string{"tcp": tcp.String(), "tls": secure.String()}
	if srv.name == "coturn" {
		return srv.configureCoturn(tcp.Port(), secure.Port(), cert, key)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{self, "serve", srv.name, srv.addr["tcp"], srv.addr["tls"], cert, key}
	if s.profile != "" {
		args = append(args, fmt.Sprintf("%s-%s-%d.pprof", s.profile, srv.name, time.Now().UnixMilli()))
	}
	return args, nil
}

func (srv *server) configureCoturn(tcp, secure uint16, cert, key string) ([]string, error) {
	program := peers.Find("turnserver")
	if program == "" {
		return nil, fmt.Errorf("coturn: not on this machine: turnserver")
	}
	conf := fmt.Sprintf(`listening-ip=%[9]v
relay-ip=%[9]v
listening-port=%[1]d
tls-listening-port=%[2]d
realm=%[3]s
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
log-file=/dev/null
relay-threads=1
`, tcp, secure, realm, user, password, cert, key, srv.dir, srv.at.ip)
	path := filepath.Join(srv.dir, "turn.conf")
	return []string{program, "-c", path}, os.WriteFile(path, []byte(conf), 0o644)
}

func (srv *server) awaitListening(ctx context.Context) error {
	for _, addr := range srv.addr {
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := within(srv.at.netns, func() error {
				c, err := net.DialTimeout("tcp", addr, time.Second)
				if err == nil {
					c.Close()
				}
				return err
			})
			if err == nil {
				break
			}
			select {
			case <-srv.done:
				return fmt.Errorf("%s has ended", srv.name)
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not listen on %s within 10 s: %w", srv.name, addr, err)
			}
		}
	}
	return nil
}

// stop ends the server and waits for it.
func (srv *server) stop() {
	_ = srv.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-srv.done:
	case <-time.After(5 * time.Second):
		_ = srv.cmd.Process.Kill()
		<-srv.done
	}
	os.RemoveAll(srv.dir)
}

// freePort is one that nobody has just now.
func (p place) freePort() (at netip.AddrPort, err error) {
	err = within(p.netns, func() error {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.ip, 0)))
		if err != nil {
			return err
		}
		at = l.Addr().(*net.TCPAddr).AddrPort()
		return l.Close()
	})
	return at, err
}

// writeCertificate makes a certificate as servers have them today, ECDSA with P-256.
func writeCertificate(dir string) (cert, key string, err error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{realm},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
}

// clientTLS names the server, as browsers do, and trusts anybody: it is the one that we started, on loopback.
var clientTLS = &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}
