package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/internal/peers"
)

// connectArgs are the flags for the lab's proxy of a scheme.
func connectArgs(t *testing.T, url, auth, user, password string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"connect", "--proxy", url, "--auth", auth, "--proxy-user", user, "--proxy-password-file", file}
}

func labProxy(t *testing.T, scheme string) (*lab.Lab, lab.Proxy) {
	t.Helper()
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, p := range l.Proxies {
		if p.Scheme == scheme && !p.TLS {
			return l, p
		}
	}
	t.Fatalf("no proxy of scheme %s", scheme)
	return nil, lab.Proxy{}
}

// Every byte goes through in both directions, and the end of input is passed on.
func TestConnectCarriesBytes(t *testing.T) {
	l, p := labProxy(t, lab.SchemeNTLM)
	target := tlsEcho(t)
	input := make([]byte, 3<<20)
	rand.Read(input)
	stdin, plain := net.Pipe()
	inside := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})

	var status int
	var stderr bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		args := append(connectArgs(t, p.URL, "ntlm", l.User.Name, l.User.Password), target)
		status = run(t.Context(), args, stdio{stdin, stdin, &stderr})
		stdin.Close()
	})
	wg.Go(func() {
		inside.Write(input)
		inside.CloseWrite()
	})
	got, err := io.ReadAll(inside)
	if err != nil || !bytes.Equal(got, input) {
		t.Errorf("%d bytes came back, %v; want the %d that were sent", len(got), err, len(input))
	}
	plain.Close()
	wg.Wait()
	if status != exitOK {
		t.Errorf("exit status %d: %s", status, stderr.String())
	}
}

// tlsEcho is a TLS server that sends back what it gets.
func tlsEcho(t *testing.T) (address string) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{selfSigned(t, key)}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(conn, conn)
		conn.(*tls.Conn).CloseWrite()
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestConnectFails(t *testing.T) {
	l, p := labProxy(t, lab.SchemeBasic)
	var stdout, stderr bytes.Buffer
	args := append(connectArgs(t, p.URL, "basic", l.User.Name, "wr0ng-password"), "localhost:1")
	status := run(t.Context(), args, stdio{strings.NewReader(""), &stdout, &stderr})
	if status != exitFail || stdout.Len() > 0 || !strings.Contains(stderr.String(), "credential rejected") ||
		!strings.Contains(stderr.String(), "hint: check user") {
		t.Errorf("exit status %d, stdout %q, stderr %q; want 1, nothing, the rejection", status, stdout.String(), stderr.String())
	}
	if strings.Contains(stderr.String(), "wr0ng") {
		t.Errorf("the error shows the password: %s", stderr.String())
	}
}

// ssh's own client goes through Squid with turngate as its ProxyCommand.
func TestSSHThroughSquid(t *testing.T) {
	peers.Need(t, "ssh", "squid", "basic_ncsa_auth", "htpasswd")
	const password = "ssh-through-squid-1"
	stack, err := realstack.Start(t.Context(), realstack.Config{
		Users: []realstack.User{{Name: "alice", Password: password}}, Only: []string{"squid/basic"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	server := sshServer(t)
	host, port, _ := net.SplitHostPort(server.address)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	connect := append([]string{"env", asProgram + "=1", self}, connectArgs(t, stack.Proxies()[0].URL, "basic", "alice", password)...)
	ssh := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-T", "-i", server.clientKey, "-p", port,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "ProxyCommand="+strings.Join(connect, " ")+" %h:%p", "alice@"+host, "echo")
	input := make([]byte, 1<<20)
	rand.Read(input)
	ssh.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	ssh.Stderr = &stderr
	got, err := ssh.Output()
	if err != nil || !bytes.Equal(got, input) {
		t.Errorf("%d of %d bytes came back, %v\n%s", len(got), len(input), err, stderr.String())
	}
	if _, err := stack.Proxies()[0].AwaitTunnel(t.Context(), 0, "alice", server.address); err != nil {
		t.Error(err)
	}
}

type testSSHServer struct{ address, clientKey string }

// sshServer accepts one key and echoes what a session sends.
func sshServer(t *testing.T) testSSHServer {
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if bytes.Equal(key.Marshal(), allowed.Marshal()) {
			return nil, nil
		}
		return nil, fmt.Errorf("unknown key")
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serveSSH(conn, config)
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return testSSHServer{l.Addr().String(), writeKey(t, private)}
}

func writeKey(t *testing.T, key ed25519.PrivateKey) (path string) {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serveSSH answers the first exec request of the first session by echoing until the end of input.
func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			r.Reply(r.Type == "exec", nil)
			if r.Type == "exec" {
				break
			}
		}
		go ssh.DiscardRequests(requests)
		io.Copy(channel, channel)
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		channel.Close()
	}
}
