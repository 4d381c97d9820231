package lab

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/internal/peers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// After Close nothing listens any more; a second Close is harmless.
func TestCloseEndsEverything(t *testing.T) {
	l := start(t)
	addresses := []string{l.TURN.TCP, l.TURN.TLS}
	for _, p := range l.Proxies {
		u, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, u.Host)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, a := range addresses {
		if conn, err := net.Dial("tcp", a); err == nil {
			conn.Close()
			t.Errorf("%s still listens", a)
		}
	}
}

// The lab's proxies are no way out of this machine, not even for those who know the password.
func TestLoopbackOnly(t *testing.T) {
	l := start(t)
	open := strings.TrimPrefix(l.Proxies[0].URL, "http://")
	for target, want := range map[string]string{
		l.TURN.TCP: "200", "192.0.2.1:443": "403", "[2001:db8::1]:443": "403", "example.com:443": "403", "127.0.0.1:9": "403",
	} {
		conn, err := net.Dial("tcp", open)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%s: got %q, %v; want %s", target, line, err, want)
		}
		conn.Close()
	}
}

func TestFaultyProxies(t *testing.T) {
	l := start(t)
	if p, err := l.Faulty("403", SchemeBasic); err != nil || !strings.HasPrefix(p.URL, "http://localhost:") {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := l.Faulty("no-such", SchemeBasic); err == nil {
		t.Error("a fault that does not exist was played")
	}
}

func TestPasswordsAreRandomAndDoNotPrint(t *testing.T) {
	a, b := start(t), start(t)
	if a.User.Password == b.User.Password || a.TURN.User.Password == a.User.Password || len(a.User.Password) < 20 {
		t.Error("the passwords of two labs are not random")
	}
	for _, text := range []string{fmt.Sprint(a.User), fmt.Sprintf("%+v", a.User), fmt.Sprintf("%#v", a.TURN)} {
		if strings.Contains(text, a.User.Password) || strings.Contains(text, a.TURN.User.Password) {
			t.Errorf("a password shows in %s", text)
		}
	}
}

func TestStartOnly(t *testing.T) {
	for _, tt := range []struct {
		config  Config
		proxies int
		turn    bool
	}{
		{Config{Schemes: []string{SchemeNTLM}, NoTURN: true}, 2, false},
		{Config{Schemes: []string{}}, 0, true},
		{Config{Real: true, Schemes: []string{}}, 0, true},
	} {
		l, err := tt.config.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Proxies) != tt.proxies || l.TURN.TCP != "" != tt.turn {
			t.Errorf("%+v: got %d proxies, TURN at %q; want %d, %v", tt.config, len(l.Proxies), l.TURN.TCP, tt.proxies, tt.turn)
		}
		for _, p := range l.Proxies {
			if p.PID != os.Getpid() || p.Scheme != SchemeNTLM {
				t.Errorf("proxy %s of %s in process %d", p.URL, p.Scheme, p.PID)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, real := range []bool{false, true} {
		if _, err := (Config{Real: real, Schemes: []string{"rot13"}}).Start(t.Context()); err == nil {
			t.Error("a scheme that does not exist was started")
		}
	}
}

func TestStartOneSquid(t *testing.T) {
	peers.Need(t, "squid")
	l, err := Config{Real: true, Schemes: []string{SchemeBasic}, NoTURN: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.Proxies) != 2 || l.Krb5Conf != "" {
		t.Fatalf("got %d proxies and krb5.conf %q, want 2 and none", len(l.Proxies), l.Krb5Conf)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.Proxies[0].PID))
	if err != nil || strings.TrimSpace(string(name)) != "squid" {
		t.Errorf("process %d is %q (%v), want squid", l.Proxies[0].PID, name, err)
	}
}
