package kerberos_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// TestTransports logs in where one transport or another does not work.
func TestTransports(t *testing.T) {
	const viaUDP, viaTCP = "udp_preference_limit = 32700", "udp_preference_limit = 1"
	for _, tt := range []struct {
		name, line string
		faults     kerberostest.Faults
		want       string // networks used, in order, without repetition
	}{
		{"small requests go over UDP", viaUDP, kerberostest.Faults{}, "udp"},
		{"large ones over TCP", viaTCP, kerberostest.Faults{}, "tcp"},
		{"UDP is dropped", viaUDP, kerberostest.Faults{DropUDP: true}, "udp tcp"},
		{"TCP is hung up", viaTCP, kerberostest.Faults{DropTCP: true}, "tcp udp tcp udp tcp udp"},
		{"replies are too big for UDP", viaUDP, kerberostest.Faults{UDPLimit: 300}, "udp tcp"},
		{"tickets are large", viaUDP, kerberostest.Faults{TicketPad: 80000}, "udp tcp"},
		{"replies are cut off", viaTCP, kerberostest.Faults{TruncateTCP: true}, "tcp udp tcp udp tcp udp"},
		{"slow KDC", viaTCP, kerberostest.Faults{Delay: 50 * time.Millisecond}, "tcp"},
		{"dead KDC", viaTCP, kerberostest.Faults{Delay: time.Hour}, ""},
		{"KDC out of service", viaTCP, kerberostest.Faults{Unavailable: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kdc := startKDC(t, 18)
			kdc.SetFaults(tt.faults)
			timeout := 20 * time.Second
			if tt.faults.DropUDP || tt.faults.Delay == time.Hour {
				timeout = time.Second // is waited for
			}
			var rec recorder
			client := newClient(t, kerberos.Config{
				User: "alice", Password: password, Dial: rec.dial, Timeout: timeout,
				Krb5Conf: strings.Replace(kdc.Config(), "[libdefaults]\n", "[libdefaults]\n "+tt.line+"\n", 1),
			})
			_, err := client.Begin(testContext(t), "localhost", nil)
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "no KDC of "+realm+" answers") || !strings.Contains(err.Error(), kdc.Addr()) {
					t.Errorf("got %v, want that no KDC answers and its address", err)
				}
				if !noCredential(err) || credentialRejected(err) {
					t.Errorf("%v: want an absent credential, not a rejected one", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := rec.networks(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTCPThenUDP has a KDC without TCP: gokrb5's client throws the answer over UDP away.
func TestTCPThenUDP(t *testing.T) {
	kdc := startKDC(t, 18)
	var rec recorder
	client := newClient(t, kerberos.Config{
		User: "alice", Password: password,
		Krb5Conf: strings.Replace(kdc.Config(), "[libdefaults]\n", "[libdefaults]\n udp_preference_limit = 1\n", 1),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network == "tcp" {
				return nil, errors.New("refused")
			}
			return rec.dial(ctx, network, addr)
		},
	})
	if _, err := client.Begin(testContext(t), "localhost", nil); err != nil {
		t.Fatal(err)
	}
	if got := rec.networks(); got != "udp" {
		t.Errorf("got %q, want udp", got)
	}
}

// TestSeveralKDCs tries them in order and stays with the one that answers.
func TestSeveralKDCs(t *testing.T) {
	kdc := startKDC(t, 18)
	down := startKDC(t, 18)
	down.SetFaults(kerberostest.Faults{Unavailable: true})
	var rec recorder
	conf := strings.Replace(kdc.Config(), "  kdc = ", "  kdc = 127.0.0.1:1\n  kdc = "+down.Addr()+"\n  kdc = ", 1)
	client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: conf, Dial: rec.dial})
	if _, err := client.Begin(testContext(t), "localhost", nil); err != nil {
		t.Fatal(err)
	}
	got := rec.hosts()
	want := []string{"127.0.0.1:1", down.Addr(), kdc.Addr()}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("asked %v, want first %v", got, want)
		}
	}
	for _, addr := range got[3:] {
		if addr != kdc.Addr() {
			t.Errorf("asked %v, want only %s after it has answered", got, kdc.Addr())
		}
	}
}

// TestKDCsOfDNS finds the KDC by its SRV records.
func TestKDCsOfDNS(t *testing.T) {
	kdc := startKDC(t, 18)
	host, port, err := net.SplitHostPort(kdc.Addr())
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	var asked []string
	client := newClient(t, kerberos.Config{
		User: "alice", Realm: realm, Password: password, Krb5Conf: "[libdefaults]\n\n",
		LookupSRV: func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
			asked = append(asked, "_"+service+"._"+proto+"."+name)
			if proto == "udp" {
				return "", nil, errors.New("no such record")
			}
			return "", []*net.SRV{{Target: host + ".", Port: uint16(number)}}, nil
		},
	})
	if _, err := client.Begin(testContext(t), "localhost", nil); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(asked[:2], " "), "_kerberos._udp."+realm+" _kerberos._tcp."+realm; got != want {
		t.Errorf("asked DNS for %q, want %q", got, want)
	}
	t.Run("none", func(t *testing.T) {
		client := newClient(t, kerberos.Config{
			User: "alice", Realm: realm, Password: password, Krb5Conf: "[libdefaults]\n\n",
			LookupSRV: func(context.Context, string, string, string) (string, []*net.SRV, error) {
				return "", []*net.SRV{{Target: "."}}, nil
			},
		})
		_, err := client.Begin(testContext(t), "localhost", nil)
		if err == nil || !strings.Contains(err.Error(), "no KDC is known for realm "+realm) {
			t.Errorf("got %v, want that no KDC is known", err)
		}
	})
}

// TestHostileKDC answers with bytes that must be neither read without end nor believed.
func TestHostileKDC(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"huge length", "\xff\xff\xff\xff", "announces a reply of 4294967295 bytes"},
		{"half a length", "\x00\x00", "reading the length of the reply"},
		{"short reply", "\x00\x00\x00\x09abc", "reply ends after 3 of 9 bytes"},
		{"garbage", "\x00\x00\x00\x03abc", "malformed reply"},
		{"empty", "\x00\x00\x00\x00", "malformed reply"},
		{"broken error", "\x00\x00\x00\x04\x7e\x02\x30\x00", "malformed error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, kerberos.Config{
				User: "alice", Password: password, Krb5Conf: "[libdefaults]\ndefault_realm = X\n[realms]\nX = {\nkdc = tcp/kdc.test\n}\n",
				Dial: func(context.Context, string, string) (net.Conn, error) { return &cannedConn{answer: tt.answer}, nil },
			})
			_, err := client.Begin(testContext(t), "localhost", nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "kdc.test:88/tcp") {
				t.Errorf("got %v, want %q and the KDC", err, tt.want)
			}
		})
	}
}

// TestCancel ends a wait for a KDC that does not answer.
func TestCancel(t *testing.T) {
	kdc := startKDC(t, 18)
	kdc.SetFaults(kerberostest.Faults{Delay: time.Hour})
	dialed := make(chan struct{}, 1)
	client := newClient(t, kerberos.Config{
		User: "alice", Password: password, Krb5Conf: kdc.Config(), Timeout: time.Hour,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed <- struct{}{}
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	})
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { _, err := client.Begin(ctx, "localhost", nil); done <- err }()
	<-dialed
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A recorder notes where a client connects to.
type recorder struct {
	mu    sync.Mutex
	dials [][2]string
}

func (r *recorder) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.mu.Lock()
	r.dials = append(r.dials, [2]string{network, addr})
	r.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// networks lists the transports in order, without repetitions.
func (r *recorder) networks() string { return strings.Join(r.distinct(0), " ") }

// hosts lists the addresses likewise.
func (r *recorder) hosts() []string { return r.distinct(1) }

func (r *recorder) distinct(field int) (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.dials {
		if len(list) == 0 || list[len(list)-1] != d[field] {
			list = append(list, d[field])
		}
	}
	return list
}

// A cannedConn takes everything and answers one thing.
type cannedConn struct {
	net.Conn
	answer string
}

func (c *cannedConn) Write(b []byte) (int, error) { return len(b), nil }
func (c *cannedConn) Close() error                { return nil }

func (c *cannedConn) Read(b []byte) (int, error) {
	if c.answer == "" {
		return 0, errors.New("closed")
	}
	n := copy(b, c.answer)
	c.answer = c.answer[n:]
	return n, nil
}
