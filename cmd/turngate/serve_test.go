package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/service"
	"github.com/turngate/turngate/turntcp"
)

// Every setting has a flag, and every flag but these is a setting.
func TestServeFlags(t *testing.T) {
	var c serveCmd
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, f := range parser.Model.Flags {
		flags = append(flags, f.Name)
	}
	want := append(service.SettingNames(), "help", "config", "check-config")
	slices.Sort(flags)
	slices.Sort(want)
	if !slices.Equal(flags, want) {
		t.Errorf("got  %v\nwant %v", flags, want)
	}
}

const (
	servePassword = "open sesame"
	serveSecret   = "north star"
)

// A server is turngate serve in a process of its own.
type server struct {
	*program
	dir      string
	tcp, tls string // addresses
	ca       string
}

var listening = regexp.MustCompile(`msg=listening transport=(tcp|tls) address=(\S+)`)

func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{dir: dir, ca: writePair(t, dir)}
	for name, text := range map[string]string{"users": "alice:" + servePassword + "\n", "secrets": serveSecret + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.program = start(t, nil, append([]string{"serve", "--listen", "tcp://127.0.0.1:0", "--listen", "tls://127.0.0.1:0",
		"--cert", s.ca, "--key", filepath.Join(dir, "key.pem"), "--realm", "example.com", "--relay-ip", "127.0.0.1",
		"--users", filepath.Join(dir, "users"), "--auth-secret-file", filepath.Join(dir, "secrets"),
		"--allow-peer", "127.0.0.1/32", "--old-channels", "--audit", filepath.Join(dir, "audit")}, args...)...)
	t.Cleanup(func() {
		if s.ProcessState == nil {
			s.Process.Kill()
			s.Wait()
		}
	})
	s.await(t, "msg=serving")
	for _, m := range listening.FindAllStringSubmatch(strings.Join(s.all, "\n"), -1) {
		if m[1] == "tcp" {
			s.tcp = m[2]
		} else {
			s.tls = m[2]
		}
	}
	if s.tcp == "" || s.tls == "" {
		t.Fatalf("no line for each listener:\n%s", strings.Join(s.all, "\n"))
	}
	return s
}

// writePair writes cert.pem, whose path it returns, and key.pem.
func writePair(t *testing.T, dir string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: selfSigned(t, key).Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem")
}

// end tells the server to end and checks that it does, with status 0 and no secret in log and audit
// log.
func (s *server) end(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(t, "msg=stopped")
	if err := s.Wait(); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
	audit, err := os.ReadFile(filepath.Join(s.dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{servePassword, serveSecret} {
		if strings.Contains(strings.Join(s.all, "\n")+string(audit), secret) {
			t.Errorf("log or audit log show %q", secret)
		}
	}
	for _, event := range []string{"allocation created", "allocation deleted"} {
		if !bytes.Contains(audit, []byte(`"msg":"`+event+`"`)) || !bytes.Contains(audit, []byte(`"user":"alice"`)) {
			t.Errorf("no %q of alice in the audit log:\n%s", event, audit)
		}
	}
}

// coturn's client against turngate serve, with a user of the users file and with a credential that
// turngate credential has made.
func TestServeUclient(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	s := startServer(t)
	restUser, restPassword := mint(t, filepath.Join(s.dir, "secrets"))
	tests := []struct {
		name, addr, user, password string
		args                       []string
	}{
		{"tcp, user", s.tcp, "alice", servePassword, nil},
		{"tls, user", s.tls, "alice", servePassword, []string{"-S", "-E", s.ca}},
		{"tcp, credential", s.tcp, restUser, restPassword, nil},
		{"tls, credential", s.tls, restUser, restPassword, []string{"-S", "-E", s.ca}},
	}
	t.Run("clients", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel() // it mostly waits
				host, port, err := net.SplitHostPort(tt.addr)
				if err != nil {
					t.Fatal(err)
				}
				out, err := uclient(append(append([]string{"-t", "-y", "-n", "20", "-m", "2", "-l", "100", "-p", port,
					"-u", tt.user, "-w", tt.password}, tt.args...), host)...)
				if err != nil || !strings.Contains(out, "tot_send_msgs=80, tot_recv_msgs=80\n") {
					t.Errorf("turnutils_uclient: %v, want 80 messages there and back:\n%s", err, out)
				}
			})
		}
	})
	host, port, _ := net.SplitHostPort(s.tcp)
	if out, err := uclient("-t", "-c", "-y", "-n", "1", "-p", port, "-u", restUser, "-w", "wrong", host); err == nil || !strings.Contains(out, "Cannot complete Allocation") {
		t.Errorf("wrong password: %v, want that it cannot allocate:\n%s", err, out)
	}
	s.end(t)
}

func uclient(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return uclientUntil(ctx, args...)
}

func uclientUntil(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, peers.Find("turnutils_uclient"), args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mint runs turngate credential for alice.
func mint(t *testing.T, secrets string) (user, password string) {
	t.Helper()
	var out, errs bytes.Buffer
	if status := run(context.Background(), []string{"credential", "--secret-file", secrets, "--user", "alice", "--json"}, stdio{nil, &out, &errs}); status != exitOK {
		t.Fatalf("exit status %d: %s", status, &errs)
	}
	var c struct{ Username, Password string }
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return c.Username, c.Password
}

// Signals as they come from outside: SIGHUP reloads and leaves the coturn client alone that is
// sending, the first SIGTERM lets it finish.
func TestServeSignals(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	s := startServer(t, "--drain-timeout", "1m")
	host, port, err := net.SplitHostPort(s.tcp)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() { // some seconds
		out, err := uclient("-t", "-c", "-y", "-n", "50", "-m", "2", "-l", "100", "-z", "20", "-p", port, "-u", "alice", "-w", servePassword, host)
		done <- result{out, err}
	}()
	for range 3 { // one more than clients: the first asks for the way only
		s.await(t, "allocation created")
	}
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, "msg=reloaded users=1 secrets=1")
	s.end(t)
	r := <-done
	if r.err != nil || !strings.Contains(r.out, "tot_send_msgs=100, tot_recv_msgs=100") {
		t.Errorf("turnutils_uclient: %v, want 100 messages there and back:\n%s", r.err, r.out)
	}
	if log := strings.Join(s.all, "\n"); !regexp.MustCompile(`msg=draining allocations=[23]`).MatchString(log) {
		t.Errorf("the server did not drain:\n%s", log)
	}
}

// The second SIGTERM does not wait.
func TestServeSecondSignal(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	s := startServer(t, "--drain-timeout", "1h")
	host, port, err := net.SplitHostPort(s.tcp)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // would take an hour
		defer close(done)
		_, _ = uclient("-t", "-c", "-y", "-n", "180000", "-z", "20", "-p", port, "-u", "alice", "-w", servePassword, host)
	}()
	s.await(t, "allocation created")
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(t, "msg=draining")
	s.end(t)
	<-done
}

// The end of whoever reads the log is not the server's.
func TestServeWithoutLogReader(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("alice:"+servePassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "serve", "--listen", "tcp://127.0.0.1:0", "--realm", "example.com", "--relay-ip", "127.0.0.1", "--users", users)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var addr string
	for s := bufio.NewScanner(stderr); s.Scan() && !strings.Contains(s.Text(), "msg=serving"); {
		if m := listening.FindStringSubmatch(s.Text()); m != nil {
			addr = m[2]
		}
	}
	stderr.Close()
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // which it logs
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c := turntcp.NewClient(conn, turntcp.ClientConfig{Username: "alice", Password: servePassword, Timeout: 10 * time.Second})
	defer c.Close()
	if _, err := c.Allocate(context.Background()); err != nil { // which it logs, too
		t.Errorf("allocate: %v", err)
	}
	if _, err := c.Refresh(context.Background(), 0); err != nil {
		t.Errorf("refresh: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
}

// The example configuration is good as it stands, and with what is commented out, but for the files
// and the address, which are the admin's.
func TestDeployedConfig(t *testing.T) {
	const example = "../../deploy/turngate.yaml"
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := filepath.Join(dir, "all.yaml")
	if err := os.WriteFile(all, regexp.MustCompile(`(?m)^# (users:|allow_peer:|  - )`).ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"users": "alice:" + servePassword + "\n", "secrets": serveSecret + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ours := []string{"serve", "--check-config", "--max-connections", "100", "--cert", writePair(t, dir), "--key", filepath.Join(dir, "key.pem"),
		"--auth-secret-file", filepath.Join(dir, "secrets"), "--relay-ip", "127.0.0.1", "--audit", filepath.Join(dir, "audit")}
	for _, args := range [][]string{{"--config", example}, {"--config", all, "--users", filepath.Join(dir, "users")}} {
		var out, errs bytes.Buffer
		if status := run(context.Background(), append(ours, args...), stdio{nil, &out, &errs}); status != exitOK || errs.Len() > 0 {
			t.Errorf("%v: exit status %d, %s", args, status, &errs)
		}
	}
	// The test is about nothing if the second file does not differ.
	var errs bytes.Buffer
	if run(context.Background(), append(ours, "--config", all), stdio{nil, &errs, &errs}); !strings.Contains(errs.String(), "/etc/turngate/users") {
		t.Errorf("users was not uncommented: %s", &errs)
	}
}

// systemd finds nothing wrong with the unit, and little that the service could do.
func TestDeployedUnit(t *testing.T) {
	analyze := peers.Find("systemd-analyze")
	if analyze == "" {
		t.Skip("not on this machine: systemd-analyze (Debian: systemd)")
	}
	text, err := os.ReadFile("../../deploy/turngate.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "turngate.service")
	here := strings.NewReplacer("/usr/local/bin/turngate", self, "User=turngate", "User=daemon", "Group=turngate", "Group=daemon").Replace(string(text))
	if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	const most = "25" // tenths; systemd calls up to 4 OK
	if out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+most, unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// The page names every setting.
func TestServerPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range service.SettingNames() {
		if !regexp.MustCompile("(?m)^\\|.*`--" + name + "`").Match(page) {
			t.Errorf("docs/server.md: no row for --%s", name)
		}
	}
}
