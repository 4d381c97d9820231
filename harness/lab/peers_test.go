package lab

import (
	"bytes"
	"context"
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
	"time"

	"github.com/turngate/turngate/internal/peers"
)

func start(t *testing.T) *Lab {
	t.Helper()
	l, err := New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// greeter is a target that says hello to everybody, so that a client's output tells whether it got
// there.
func greeter(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\nhello")
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String() + "/"
}

// kerberosEnv points MIT's programs at the lab's KDC.
func kerberosEnv(t *testing.T, l *Lab) []string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(conf, []byte(l.Krb5Conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "KRB5_CONFIG="+conf, "KRB5CCNAME=FILE:"+filepath.Join(dir, "ccache"))
}

// command runs a program with a secret on its standard input and returns its output.
func command(t *testing.T, env []string, stdin, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// curl gets through every embedded proxy with the right password, by the user's name, and is refused
// with a wrong one, at the price of one attempt.
func TestCurlThroughEveryProxy(t *testing.T) {
	peers.Need(t, "curl", "kinit")
	l, target := start(t), greeter(t)
	env := kerberosEnv(t, l)
	if out, err := command(t, env, l.User.Password+"\n", "kinit", l.User.Name); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	options := map[string]string{
		SchemeBasic: "proxy-basic", SchemeDigest: "proxy-digest", SchemeNTLM: "proxy-ntlm", SchemeKerberos: "proxy-negotiate",
	}
	for _, p := range l.Proxies {
		option := options[p.Scheme]
		if option == "" {
			continue
		}
		t.Run(fmt.Sprintf("%s tls=%v", p.Scheme, p.TLS), func(t *testing.T) {
			right, wrong := l.User.Name+":"+l.User.Password, l.User.Name+":wrong"
			withoutTicket := append(env[:len(env):len(env)], "KRB5CCNAME=FILE:/nonexistent")
			wrongEnv, costs := env, 1
			if p.Scheme == SchemeKerberos {
				right, wrong, wrongEnv, costs = ":", ":", withoutTicket, 0 // no ticket, no attempt
			}
			if out, err := curl(t, l, env, p, option, right, target); err != nil || out != "hello" {
				t.Errorf("right credentials: got %q, %v", out, err)
			}
			before, _ := p.Failures()
			if out, err := curl(t, l, wrongEnv, p, option, wrong, target); err == nil {
				t.Errorf("wrong credentials: curl got through: %q", out)
			}
			if after, _ := p.Failures(); after-before != costs {
				t.Errorf("wrong credentials cost %d attempts, want %d", after-before, costs)
			}
			if users, _ := p.Tunnels(); len(users) != 1 || !strings.HasPrefix(users[0], l.User.Name) {
				t.Errorf("the proxy recorded tunnels of %q, want one of %s", users, l.User.Name)
			}
		})
	}
}

func curl(t *testing.T, l *Lab, env []string, p Proxy, option, user, target string) (string, error) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, l.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("silent\nproxytunnel\nnoproxy = \"\"\nmax-time = 20\n%s\nproxy-user = %q\nproxy = %q\nproxy-cacert = %q\nurl = %q\n",
		option, user, p.URL, ca, target)
	return command(t, env, config, "curl", "-K", "-")
}

// MIT's kinit and kvno take our KDC for one of theirs.
func TestKinitAndKvno(t *testing.T) {
	peers.Need(t, "kinit", "kvno", "klist")
	l := start(t)
	env := kerberosEnv(t, l)
	if out, err := command(t, env, "wrong\n", "kinit", l.User.Name); err == nil {
		t.Errorf("kinit with a wrong password: %s", out)
	}
	if out, err := command(t, env, l.User.Password+"\n", "kinit", l.User.Name); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	if out, err := command(t, env, "", "kvno", "HTTP/localhost"); err != nil || !strings.Contains(out, "HTTP/localhost@"+l.Realm) {
		t.Errorf("kvno: %v\n%s", err, out)
	}
	if out, err := command(t, env, "", "kvno", "HTTP/unknown.example"); err == nil {
		t.Errorf("kvno of a service that is not there: %s", out)
	}
}

// cntlm, an NTLM client by others, gets through our NTLM proxy.
func TestCntlm(t *testing.T) {
	peers.Need(t, "cntlm", "curl")
	l, target := start(t), greeter(t)
	for _, tt := range []struct {
		name, password string
		through        bool
	}{{"right", l.User.Password, true}, {"wrong", "wrong", false}} {
		t.Run(tt.name, func(t *testing.T) {
			var upstream string
			for _, p := range l.Proxies {
				if p.Scheme == SchemeNTLM && !p.TLS {
					upstream = strings.TrimPrefix(p.URL, "http://localhost:")
				}
			}
			local := runCntlm(t, l.User.Name, tt.password, upstream)
			config := fmt.Sprintf("silent\nproxytunnel\nnoproxy = \"\"\nmax-time = 20\nproxy = %q\nurl = %q\n", local, target)
			out, err := command(t, os.Environ(), config, "curl", "-K", "-")
			if through := err == nil && out == "hello"; through != tt.through {
				t.Errorf("got %q, %v; want through: %v", out, err, tt.through)
			}
		})
	}
}

// runCntlm starts cntlm before a proxy on 127.0.0.1:port and returns its own URL.
func runCntlm(t *testing.T, user, password, port string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	conf := filepath.Join(t.TempDir(), "cntlm.conf")
	text := fmt.Sprintf("Username %s\nDomain %s\nPassword %s\nAuth NTLMv2\nProxy 127.0.0.1:%s\nListen %s\n", user, ntlmDomain, password, port, listen)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cntlm", "-f", "-c", conf)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 500 { // nothing tells when it listens
		if conn, err := net.Dial("tcp", listen); err == nil {
			conn.Close()
			return "http://" + listen
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("cntlm does not listen on %s", listen)
	return ""
}
