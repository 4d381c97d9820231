package turntcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/turn/v5"
	"golang.org/x/sys/unix"

	"github.com/turngate/turngate/internal/attempts"
	"github.com/turngate/turngate/internal/peers"
)

// The link carries half of what the peer sends, and would need 1.6 s for all that a server may keep for a
// client (maxQueued).
const (
	throttledRate  = "5mbit"
	throttledSize  = 1200 // bytes of payload
	throttledEvery = throttledSize * 8 * time.Second / 10e6
	throttledFor   = 3 * time.Second
	// throttledLimit is for the 99th percentile beyond the link's own: some 250 ms (the server's limit of 200
	// and what the kernels hold), and as much again for a machine that has other work. What is dropped and when
	// is TestOldDataIsDropped's, to the millisecond.
	throttledLimit = 600 * time.Millisecond
)

// What a client behind a slow link gets is new, at the price of what is dropped. The same is printed for
// coturn and stock pion.
func TestThrottledClient(t *testing.T) {
	peers.Need(t, "ip", "tc", "turnserver")
	if testing.Short() {
		t.Skip("20 s")
	}
	l := newLink(t)
	run(t, "ip", "netns", "exec", l.netns[0], "tc", "qdisc", "add", "dev", l.dev[0], "root", "tbf",
		"rate", throttledRate, "burst", "32kb", "limit", "1mb")
	ours, coturn, pion := throttledOurs(t, l), throttledCoturn(t, l), throttledPion(t, l)
	tests := []struct {
		name, addr, transport string
		peer                  int // the end whose namespace has the peer, -1 for the test's own
		bounded               bool
	}{
		{"turngate", ours["tcp"], "tcp", -1, true},
		{"turngate", ours["tls"], "tls", -1, true},
		{"coturn", coturn["tcp"], "tcp", 0, false},
		{"pion", pion, "tcp", -1, false},
	}
	for _, tt := range tests {
		attempts.Measure(t, func(errorf func(string, ...any)) {
			// The link's own delay is that of a tenth of what it can carry.
			own, _ := throttledDelays(t, l, tt.addr, tt.transport, tt.peer, 20*throttledEvery, time.Second)
			slow, share := throttledDelays(t, l, tt.addr, tt.transport, tt.peer, throttledEvery, throttledFor)
			beyond := slow - own
			t.Logf("%s %s: p99 %v, the link's own %v, beyond %v; %.0f %% arrived",
				tt.name, tt.transport, slow.Round(time.Millisecond), own.Round(time.Millisecond), beyond.Round(time.Millisecond), 100*share)
			if tt.bounded && beyond > throttledLimit {
				errorf("%s: p99 is %v beyond the link's own %v, want %v at most", tt.transport, beyond, own, throttledLimit)
			}
			if tt.bounded && share < 0.2 {
				errorf("%s: %.0f %% arrived where the link could carry half", tt.transport, 100*share)
			}
		})
	}
}

// throttledDelays has a peer send for a while, and returns the 99th percentile of the delays of what arrives
// and how much that is.
func throttledDelays(t *testing.T, l link, addr, transport string, end int, every, length time.Duration) (p99 time.Duration, share float64) {
	t.Helper()
	began := time.Now()
	var mu sync.Mutex
	var delays []time.Duration
	c := NewClient(dialThrottled(t, l, transport, addr), ClientConfig{Username: testUser, Password: testPassword, OnData: func(d Data) {
		sent := time.Duration(binary.BigEndian.Uint64(d.Payload))
		mu.Lock()
		delays = append(delays, time.Since(began)-sent)
		mu.Unlock()
	}})
	defer c.Close()
	a, err := c.Allocate(context10(t))
	if err != nil {
		t.Fatal(err)
	}
	var peer *net.UDPConn
	listen := func() (err error) {
		peer, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return err
	}
	if end < 0 {
		err = listen()
	} else {
		l.within(t, end, listen)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := c.Bind(context10(t), addrPort(peer.LocalAddr())); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, throttledSize)
	sent := 0
	for due := time.Duration(0); due < length; due += every {
		time.Sleep(due - time.Since(began))
		binary.BigEndian.PutUint64(payload, uint64(time.Since(began)))
		if _, err := peer.WriteToUDPAddrPort(payload, a.Relayed); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	time.Sleep(500 * time.Millisecond) // what is under way
	mu.Lock()
	defer mu.Unlock()
	if len(delays) == 0 {
		t.Fatal("nothing arrived")
	}
	slices.Sort(delays)
	return delays[len(delays)*99/100], float64(len(delays)) / float64(sent)
}

// dialThrottled connects from the far end of the link, with a small receive buffer.
func dialThrottled(t *testing.T, l link, transport, addr string) (conn net.Conn) {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) })
		if failed != nil {
			return failed
		}
		return err
	}}
	l.within(t, 1, func() (err error) { conn, err = d.Dial("tcp", addr); return err })
	if transport == "tls" {
		conn = secured(conn)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// throttledOurs listens at the link's near end. The relays are elsewhere, as the peers are.
func throttledOurs(t *testing.T, l link) map[string]string {
	t.Helper()
	srv := newTestServer(t, allowLoopback)
	addr := make(map[string]string)
	for transport, start := range map[string]func(net.Listener) error{"tcp": srv.Start, "tls": srv.StartTLS} {
		listener := listenOn(t, l)
		if err := start(listener); err != nil {
			t.Fatal(err)
		}
		addr[transport] = listener.Addr().String()
	}
	return addr
}

func listenOn(t *testing.T, l link) (listener net.Listener) {
	t.Helper()
	l.within(t, 0, func() (err error) {
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(l.addr[0], 0).String())
		return err
	})
	return listener
}

func throttledPion(t *testing.T, l link) string {
	t.Helper()
	listener := listenOn(t, l)
	ip := net.IPv4(127, 0, 0, 1)
	srv, err := turn.NewServer(turn.ServerConfig{
		Realm: testRealm,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(ra.Username, testRealm, testPassword), ra.Username == testUser
		},
		ListenerConfigs: []turn.ListenerConfig{{
			Listener:              listener,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: ip, Address: ip.String()},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return listener.Addr().String()
}

func throttledCoturn(t *testing.T, l link) map[string]string {
	t.Helper()
	dir := daemonDir(t)
	conf, addr := coturnConfig(t, dir, l.addr[0])
	cmd := exec.Command(peers.Find("ip"), "netns", "exec", l.netns[0], peers.Find("turnserver"), "-c", conf)
	// No Pdeathsig: that is the end of the thread, and threads that were in a namespace end.
	out := new(logBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("coturn said:\n%s", out)
		}
	})
	for _, a := range addr {
		eventually(t, "coturn listens on "+a, func() (ok bool) {
			l.within(t, 0, func() error {
				c, err := net.DialTimeout("tcp", a, time.Second)
				if ok = err == nil; ok {
					c.Close()
				}
				return nil
			})
			return ok
		})
	}
	return addr
}
