package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pion/turn/v5"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/turntcp"
)

// What the servers have in common. They live on loopback for minutes.
const (
	realm      = "conformance.example"
	user       = "alice"
	password   = "one password"
	other      = "bob"
	otherWords = "another password"
)

// A server is one under test.
type server struct {
	name     string
	tcp, tls string // addresses
	stop     func()
}

// settings of a server that the tests need otherwise than as it comes.
type settings struct {
	quota      int           // allocations of a user; 0 is no limit, and pion counts none
	permission time.Duration // 0 is the server's default; of pion only
}

// start starts a server by its name.
func start(ctx context.Context, name string, pki *pki, s settings) (*server, error) {
	switch name {
	case "turngate":
		return startTurngate(pki, s)
	case "coturn":
		return startCoturn(ctx, pki, s)
	case "pion":
		return startPion(pki, s)
	}
	return nil, fmt.Errorf("unknown server %q: want turngate, coturn or pion", name)
}

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.IPv6Loopback()
)

// startTurngate starts ours as turngate serve has it, with relays for TCP, and the peers of the tests allowed.
func startTurngate(pki *pki, s settings) (*server, error) {
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:          realm,
		Credentials:    turntcp.StaticCredentials(map[string]string{user: password, other: otherWords}),
		RelayIP:        loopback4,
		RelayAddrs:     []turntcp.RelayAddr{{Local: loopback6}},
		AllowPeers:     []netip.Prefix{netip.PrefixFrom(loopback4, 32), netip.PrefixFrom(loopback6, 128)},
		TCPRelays:      true,
		MaxAllocations: s.quota,
		TLS:            &tls.Config{Certificates: []tls.Certificate{pki.certificate}},
	})
	if err != nil {
		return nil, err
	}
	tcp, err := srv.ListenTCP("127.0.0.1:0")
	if err != nil {
		srv.Close()
		return nil, err
	}
	secure, err := srv.ListenTLS("127.0.0.1:0")
	if err != nil {
		srv.Close()
		return nil, err
	}
	return &server{"turngate", tcp.String(), secure.String(), func() { srv.Close() }}, nil
}

// startPion starts pion/turn as it comes: its own listeners and relays, by UDP too, and a handler that forbids
// 0.0.0.0/8, because without one pion forbids nothing.
func startPion(pki *pki, s settings) (*server, error) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	datagrams, err := net.ListenPacket("udp", plain.Addr().String())
	if err != nil {
		plain.Close()
		return nil, err
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pki.certificate}})
	if err != nil {
		plain.Close()
		datagrams.Close()
		return nil, err
	}
	relays := newBothFamilies()
	permit := func(_ net.Addr, peer net.IP) bool { return peer.To4() == nil || peer.To4()[0] != 0 }
	srv, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			words, ok := map[string]string{user: password, other: otherWords}[ra.Username]
			return ra.Username, turn.GenerateAuthKey(ra.Username, realm, words), ok
		},
		PermissionTimeout: s.permission,
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: plain, RelayAddressGenerator: relays, PermissionHandler: permit},
			{Listener: secure, RelayAddressGenerator: relays, PermissionHandler: permit},
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: datagrams, RelayAddressGenerator: relays, PermissionHandler: permit}},
	})
	if err != nil {
		return nil, err
	}
	return &server{"pion", plain.Addr().String(), secure.Addr().String(), func() { srv.Close() }}, nil
}

// startCoturn starts Debian's coturn as it comes, with peers on loopback allowed.
func startCoturn(ctx context.Context, pki *pki, s settings) (*server, error) {
	program := peers.Find("turnserver")
	if program == "" {
		return nil, fmt.Errorf("coturn: not on this machine: turnserver (scripts/peers.sh installs it)")
	}
	dir, err := os.MkdirTemp("", "conformtable-")
	if err != nil {
		return nil, err
	}
	tcp, secure, err := freePorts()
	if err == nil {
		err = pki.write(dir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "turn.conf"), fmt.Appendf(nil, coturnConf, tcp, secure, realm, user, password,
			other, otherWords, s.quota, dir), 0o600)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	said := new(bytes.Buffer)
	cmd := exec.CommandContext(ctx, program, "-c", filepath.Join(dir, "turn.conf"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.WaitDelay = 5 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	srv := &server{"coturn", fmt.Sprint("127.0.0.1:", tcp), fmt.Sprint("127.0.0.1:", secure), func() {
		_ = cmd.Process.Kill() // its graceful end takes seconds
		<-done
		os.RemoveAll(dir)
	}}
	if err := srv.awaitListening(ctx, done); err != nil {
		srv.stop()
		return nil, fmt.Errorf("coturn: %w; it said: %s", err, said)
	}
	return srv, nil
}

const coturnConf = `listening-ip=127.0.0.1
relay-ip=127.0.0.1
relay-ip=::1
listening-port=%[1]d
tls-listening-port=%[2]d
realm=%[3]s
lt-cred-mech
user=%[4]s:%[5]s
user=%[6]s:%[7]s
user-quota=%[8]d
cert=%[9]s/cert.pem
pkey=%[9]s/key.pem
allow-loopback-peers
no-cli
userdb=%[9]s/turndb
pidfile=%[9]s/turn.pid
log-file=%[9]s/turn.log
simple-log
`

func (srv *server) awaitListening(ctx context.Context, done <-chan struct{}) error {
	for _, addr := range []string{srv.tcp, srv.tls} {
		deadline := time.Now().Add(15 * time.Second)
		for {
			nc, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				nc.Close()
				break
			}
			select {
			case <-done:
				return fmt.Errorf("it has ended")
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("it does not listen on %s within 15 s: %w", addr, err)
			}
		}
	}
	return nil
}

// freePorts are two that nobody has just now.
func freePorts() (a, b int, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	defer second.Close()
	return first.Addr().(*net.TCPAddr).Port, second.Addr().(*net.TCPAddr).Port, nil
}
