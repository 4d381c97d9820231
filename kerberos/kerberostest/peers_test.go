package kerberostest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/kerberos/internal/krb5"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

const realm, password = "EXAMPLE.TEST", "pw-Alice1"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a KDC with alice and HTTP/localhost.
func start(t testing.TB, etypes ...int32) *kerberostest.KDC {
	t.Helper()
	kdc := &kerberostest.KDC{Realm: realm, Etypes: etypes}
	must(t, kdc.AddUser("alice", password))
	must(t, kdc.AddService("HTTP/localhost"))
	must(t, kdc.AddService("kadmin/changepw")) // kinit asks for it when a password has expired
	must(t, kdc.Start())
	t.Cleanup(func() { kdc.Close() })
	return kdc
}

// A shell runs MIT's programs in an environment of their own.
type shell struct {
	t   testing.TB
	dir string
	env []string
}

func newShell(t testing.TB, krb5conf string) *shell {
	t.Helper()
	s := &shell{t: t, dir: t.TempDir()}
	conf := filepath.Join(s.dir, "krb5.conf")
	must(t, os.WriteFile(conf, []byte(krb5conf), 0o600))
	s.env = append(os.Environ(), "KRB5_CONFIG="+conf, "KRB5CCNAME=FILE:"+filepath.Join(s.dir, "cc"), "KRB5RCACHENAME=none:")
	return s
}

func (s *shell) run(stdin, name string, args ...string) (string, error) {
	s.t.Helper()
	peers.Need(s.t, name)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, peers.Find(name), args...)
	cmd.Env = s.env
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *shell) must(stdin, name string, args ...string) string {
	s.t.Helper()
	out, err := s.run(stdin, name, args...)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// option adds a line to libdefaults.
func option(config, line string) string {
	return strings.Replace(config, "[libdefaults]\n", "[libdefaults]\n "+line+"\n", 1)
}

// TestMITClient has MIT's kinit and kvno use our KDC.
func TestMITClient(t *testing.T) {
	const viaUDP, viaTCP = "udp_preference_limit = 32700", "udp_preference_limit = 1"
	for _, tt := range []struct {
		name, line string
		etype      int32 // the only one, 0 for all
		faults     kerberostest.Faults
	}{
		{"tcp", viaTCP, 0, kerberostest.Faults{DropUDP: true}},
		{"udp", viaUDP, 0, kerberostest.Faults{DropTCP: true}},
		{"udp too small", viaUDP, 0, kerberostest.Faults{UDPLimit: 250}},
		{"big tickets", viaUDP, 0, kerberostest.Faults{TicketPad: 70000}},
		{"no preauth", viaTCP, 0, kerberostest.Faults{NoPreauth: true}},
		{"etype 17", viaUDP, krb5.AES128SHA1, kerberostest.Faults{}},
		{"etype 18", viaUDP, krb5.AES256SHA1, kerberostest.Faults{}},
		{"etype 19", viaUDP, krb5.AES128SHA2, kerberostest.Faults{}},
		{"etype 20", viaUDP, krb5.AES256SHA2, kerberostest.Faults{}},
		{"etype 23", viaUDP, krb5.RC4, kerberostest.Faults{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var only []int32
			if tt.etype != 0 {
				only = []int32{tt.etype}
			}
			kdc := start(t, only...)
			kdc.SetFaults(tt.faults)
			s := newShell(t, option(kdc.Config(), tt.line+"\n allow_rc4 = true"))
			s.must(password+"\n", "kinit", "alice")
			if out := s.must("", "kvno", "HTTP/localhost"); !strings.Contains(out, "kvno = 1") {
				t.Errorf("kvno says %q, want kvno = 1", out)
			}
			// Two tickets, each with the type of its session key and its own.
			out := s.must("", "klist", "-e")
			if got := strings.Count(out, krb5.EtypeName(tt.etype)); tt.etype != 0 && got != 4 {
				t.Errorf("klist -e says %s %d times, want 4:\n%s", krb5.EtypeName(tt.etype), got, out)
			}
		})
	}
}

func TestMITClientRefused(t *testing.T) {
	tests := []struct {
		name, user, password string
		faults               kerberostest.Faults
		want                 string
		failures             int
	}{
		{"wrong password", "alice", "wrong", kerberostest.Faults{}, "Password incorrect", 1},
		{"unknown user", "mallory", "x", kerberostest.Faults{}, "not found in Kerberos database", 0},
		{"locked", "alice", password, kerberostest.Faults{Revoked: []string{"alice"}}, "revoked", 0},
		{"expired", "alice", password, kerberostest.Faults{Expired: []string{"alice"}}, "expired", 0},
		{"no common type", "alice", password, kerberostest.Faults{RefuseEtypes: krb5.Etypes()}, "encryption type", 0},
		{"clock", "alice", password, kerberostest.Faults{Skew: time.Hour}, "Clock skew", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kdc := start(t)
			kdc.SetFaults(tt.faults)
			// Without kdc_timesync MIT's client does not correct its clock from our error.
			s := newShell(t, option(kdc.Config(), "kdc_timesync = 0"))
			out, err := s.run(tt.password+"\n"+tt.password+"\n"+tt.password+"\n", "kinit", tt.user)
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("kinit: %v, %q, want a failure with %q", err, out, tt.want)
			}
			if got := kdc.PreauthFailures(tt.user); got != tt.failures {
				t.Errorf("got %d failures, want %d", got, tt.failures)
			}
		})
	}
}

func TestMITClientUnknownService(t *testing.T) {
	kdc := start(t)
	s := newShell(t, kdc.Config())
	s.must(password+"\n", "kinit", "alice")
	if out, err := s.run("", "kvno", "HTTP/nowhere"); err == nil || !strings.Contains(out, "not found in Kerberos database") {
		t.Errorf("kvno: %v, %q, want a failure", err, out)
	}
}

// TestKeytabOfMIT has MIT's client log in from a keytab that we wrote.
func TestKeytabOfMIT(t *testing.T) {
	kdc := start(t)
	s := newShell(t, kdc.Config())
	b, err := kdc.Keytab("alice")
	must(t, err)
	path := filepath.Join(s.dir, "alice.keytab")
	must(t, os.WriteFile(path, b, 0o600))
	s.must("", "kinit", "-k", "-t", path, "alice")
}

// TestCurl has curl go through a proxy that asks our acceptor, with a ticket of our KDC.
func TestCurl(t *testing.T) {
	peers.Need(t, "curl", "kinit")
	kdc := start(t)
	keytab, err := kdc.Keytab("HTTP/localhost")
	must(t, err)
	target := startTarget(t)
	proxy := startProxy(t, &kerberostest.Acceptor{Keytab: keytab})
	s := newShell(t, kdc.Config())
	curl := func() (string, error) {
		return s.run("", "curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "connect=%{http_connect} code=%{http_code}", "-p",
			"-x", "http://localhost:"+proxy.port, "--proxy-negotiate", "-U", ":", "http://"+target)
	}
	if out, err := curl(); err == nil || !strings.Contains(out, "connect=407") {
		t.Errorf("without a ticket: %v, %q, want 407", err, out)
	}
	s.must(password+"\n", "kinit", "alice")
	if out, err := curl(); err != nil || !strings.Contains(out, "connect=200 code=200") {
		t.Errorf("with a ticket: %v, %q, want 200\nproxy: %s", err, out, proxy.log())
	}
	if got := proxy.log(); !strings.Contains(got, "user=alice@"+realm) {
		t.Errorf("the proxy saw %q, want alice@%s", got, realm)
	}
	must(t, kdc.AddService("HTTP/localhost")) // new keys: the proxy's keytab is stale
	s.must(password+"\n", "kinit", "alice")
	if out, err := curl(); err == nil || !strings.Contains(out, "connect=407") {
		t.Errorf("with a ticket for another key: %v, %q, want 407", err, out)
	}
	if got := proxy.log(); !strings.Contains(got, "key version") {
		t.Errorf("the proxy says %q, want a word about the key version", got)
	}
}

func startTarget(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

// A proxy does CONNECT and Negotiate, one request after the other.
type proxy struct {
	acceptor *kerberostest.Acceptor
	port     string
	mu       sync.Mutex
	lines    []string
}

func startProxy(t *testing.T, a *kerberostest.Acceptor) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	p := &proxy{acceptor: a, port: port}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return p
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		credentials, _ := strings.CutPrefix(req.Header.Get("Proxy-Authorization"), "Negotiate ")
		h := p.acceptor.New(nil)
		challenge, user, err := h.Accept(credentials)
		p.note("user=%s err=%v", user, err)
		if err != nil {
			fmt.Fprintf(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s\r\nContent-Length: 0\r\n\r\n", strings.TrimSpace("Negotiate "+challenge))
			continue
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nProxy-Authenticate: Negotiate %s\r\n\r\n", h.Final())
		tunnel(conn, r, req.Host)
		return
	}
}

// tunnel carries one HTTP exchange: the request up, the response down until the target closes.
func tunnel(conn net.Conn, r *bufio.Reader, target string) {
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	req.Close = true
	req.Write(up)
	bufio.NewReader(up).WriteTo(conn)
}

func (p *proxy) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *proxy) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}
