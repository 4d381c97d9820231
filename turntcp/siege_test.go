//go:build linux

package turntcp

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// A besieged server is a process of its own, so that what an attack costs is its own, too.
type besieged struct {
	cmd   *exec.Cmd
	ask   io.Writer
	told  *bufio.Scanner
	start siegeState
	log   *logBuffer
}

func besiege(t *testing.T, s siegeSettings) *besieged {
	t.Helper()
	settings, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	b := &besieged{cmd: exec.Command(os.Args[0]), log: new(logBuffer)}
	b.cmd.Env = append(os.Environ(), siegeVariable+"="+string(settings))
	b.cmd.Stderr = b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := b.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.ask, b.told = stdin, bufio.NewScanner(stdout)
	t.Cleanup(func() {
		stdin.Close()
		kill := time.AfterFunc(20*time.Second, func() { _ = b.cmd.Process.Kill() })
		defer kill.Stop()
		if err := b.cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the server ended with %v and said:\n%s", err, b.log)
		}
	})
	b.start = b.read(t)
	return b
}

func (b *besieged) read(t *testing.T) (s siegeState) {
	t.Helper()
	if !b.told.Scan() || json.Unmarshal(b.told.Bytes(), &s) != nil {
		t.Fatalf("the server is gone:\n%s", b.log)
	}
	return s
}

func (b *besieged) state(t *testing.T) siegeState {
	t.Helper()
	if _, err := io.WriteString(b.ask, "\n"); err != nil {
		t.Fatal(err)
	}
	return b.read(t)
}

// cpu is how many cores the server takes just now.
func (b *besieged) cpu(t *testing.T) float64 {
	t.Helper()
	used := func() float64 {
		p, err := procfs.NewProc(b.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		stat, err := p.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return stat.CPUTime()
	}
	before, since := used(), time.Now()
	time.Sleep(300 * time.Millisecond) // what is measured is time
	return (used() - before) / time.Since(since).Seconds()
}

func (b *besieged) dial(t *testing.T, transport string) net.Conn {
	t.Helper()
	if transport == "tcp" {
		return dial(t, "tcp", b.start.TCP)
	}
	leaf, err := x509.ParseCertificate(b.start.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Client(dial(t, "tcp", b.start.TLS), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
}

// A bystander is a call that goes on: numbered packets, 100 a second, from one allocation to another.
type bystander struct {
	stop chan struct{}
	done sync.WaitGroup
	sent uint64
	got  atomic.Uint64 // in order without a gap
	gaps atomic.Uint64
}

func (b *besieged) bystander(t *testing.T, transport string) *bystander {
	t.Helper()
	s := &bystander{stop: make(chan struct{})}
	to := NewClient(b.dial(t, transport), ClientConfig{Username: "bob", Password: "bob's", OnData: func(d Data) {
		if binary.BigEndian.Uint64(d.Payload) == s.got.Load() {
			s.got.Add(1)
		} else {
			s.gaps.Add(1)
		}
	}})
	from := NewClient(b.dial(t, transport), ClientConfig{Username: testUser, Password: testPassword})
	t.Cleanup(func() { from.Close(); to.Close() })
	source, target := allocation(t, from), allocation(t, to)
	if err := to.CreatePermission(context10(t), source.Addr()); err != nil {
		t.Fatal(err)
	}
	channel, err := from.Bind(context10(t), target)
	if err != nil {
		t.Fatal(err)
	}
	s.done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-s.stop:
				return
			}
			packet := append(binary.BigEndian.AppendUint64(nil, s.sent), make([]byte, 192)...)
			if from.WriteFrames(AppendChannelData(nil, channel, packet)) != nil {
				return
			}
			s.sent++
		}
	})
	return s
}

func allocation(t *testing.T, c *Client) netip.AddrPort {
	t.Helper()
	a, err := c.Allocate(context10(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.Relayed
}

// end expects that everything has arrived.
func (s *bystander) end(t *testing.T, transport string) {
	t.Helper()
	close(s.stop)
	s.done.Wait()
	eventually(t, transport+": all packets of the bystanders arrive", func() bool { return s.got.Load() == s.sent })
	if s.gaps.Load() != 0 || s.sent == 0 {
		t.Errorf("%s: %d packets out of order, of %d", transport, s.gaps.Load(), s.sent)
	}
}

// An attack is made by begin, which returns when it is at its height, and what ends it.
type attack struct {
	name        string
	descriptors uint64 // of the server
	perConn     uint64 // bytes of the server's memory for each attacker at the height; 0: not looked at
	attackers   int
	begin       func(*testing.T, *besieged) (end func())
}

var attacks = []attack{
	{name: "nine bytes", attackers: 50, begin: func(t *testing.T, b *besieged) func() {
		conns := b.connect(t, 50)
		writeAll(conns, []byte("\x40\x00\xff\xfc\x00\x00\x00\x00\x00"))
		return closing(conns)
	}},
	{name: "an empty peer address", attackers: 1, begin: func(t *testing.T, b *besieged) func() {
		c := NewClient(b.dial(t, "tcp"), ClientConfig{Username: testUser, Password: testPassword})
		allocation(t, c)
		frame := stunFrame(typeSendIndication, 12)
		copy(frame[20:], "\x00\x13\x00\x04data\x00\x12\x00\x00")
		for range 100 {
			if err := c.WriteFrames(frame); err != nil {
				t.Fatal(err)
			}
		}
		return func() { c.Close() }
	}},
	{name: "more connections than descriptors", descriptors: 64, attackers: 100, begin: func(t *testing.T, b *besieged) func() {
		conns := b.connect(t, 100)
		eventually(t, "the server is out of descriptors", func() bool { return strings.Contains(b.log.String(), "too many open files") })
		return closing(conns)
	}},
	// What is announced is 65 KB. What is kept between two bytes of the drip depends on who was just being served.
	{name: "a drip of large frames", perConn: 48 << 10, attackers: 1000, begin: func(t *testing.T, b *besieged) func() {
		conns := b.connect(t, 1000)
		announced := AppendChannelData(nil, 0x4000, make([]byte, 65000))[:100]
		for i := range announced {
			writeAll(conns, announced[i:i+1])
		}
		return closing(conns)
	}},
	{name: "garbage to the TLS port", attackers: 300, begin: func(t *testing.T, b *besieged) func() {
		var conns []net.Conn
		for i := range 300 {
			garbage := make([]byte, 2000)
			for j := range garbage {
				garbage[j] = byte(rand.Uint32())
			}
			garbage[0] = byte(i) // some begin as TLS does
			conn := dial(t, "tcp", b.start.TLS)
			_, _ = conn.Write(garbage)
			conns = append(conns, conn)
		}
		for _, c := range conns {
			expectClosed(t, c)
		}
		return closing(conns)
	}},
	{name: "a client that never reads", attackers: 1, begin: neverReads},
	{name: "9,000 idle connections", perConn: 32 << 10, attackers: 9000, begin: func(t *testing.T, b *besieged) func() {
		conns := b.connect(t, 9000)
		eventually(t, "all are accepted", func() bool { return b.state(t).Connections >= 9000 })
		return closing(conns)
	}},
}

// connect opens connections that say nothing.
func (b *besieged) connect(t *testing.T, n int) (conns []net.Conn) {
	t.Helper()
	for range n {
		conns = append(conns, b.dial(t, "tcp"))
	}
	return conns
}

func writeAll(conns []net.Conn, p []byte) {
	for _, c := range conns {
		_, _ = c.Write(p) // the server may have closed it
	}
}

func closing(conns []net.Conn) func() {
	return func() {
		for _, c := range conns {
			c.Close()
		}
	}
}

// neverReads has a peer send far more than fits into the sockets of a client that does not read.
func neverReads(t *testing.T, b *besieged) func() {
	release := make(chan struct{})
	deaf := NewClient(b.dial(t, "tcp"), ClientConfig{Username: "bob", Password: "bob's", OnData: func(Data) { <-release }})
	loud := NewClient(b.dial(t, "tcp"), ClientConfig{Username: testUser, Password: testPassword})
	source, target := allocation(t, loud), allocation(t, deaf)
	if err := deaf.CreatePermission(context10(t), source.Addr()); err != nil {
		t.Fatal(err)
	}
	channel, err := loud.Bind(context10(t), target)
	if err != nil {
		t.Fatal(err)
	}
	before := b.state(t).Allocations
	eventually(t, "the server gives the deaf client up", func() bool {
		for range 50 {
			_ = loud.WriteFrames(AppendChannelData(nil, channel, make([]byte, 1200)))
		}
		return b.state(t).Allocations < before
	})
	return func() { close(release); deaf.Close(); loud.Close() }
}

// Whatever is done to the server: the calls of others lose nothing, and CPU and memory come back.
func TestSiege(t *testing.T) {
	if err := limitDescriptors(0); err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			b := besiege(t, siegeSettings{Descriptors: a.descriptors})
			calls := []*bystander{b.bystander(t, "tcp"), b.bystander(t, "tls")}
			before := b.state(t)
			end := a.begin(t, b)
			height := b.state(t)
			if per := (max(height.Memory, before.Memory) - before.Memory) / uint64(a.attackers); a.perConn != 0 && per > a.perConn {
				t.Errorf("an attacker costs %d bytes of memory, want %d at most", per, a.perConn)
			}
			for _, c := range calls {
				eventually(t, "the call goes on", func() bool { return c.got.Load() >= 30 })
			}
			end()
			eventually(t, "only the calls are left", func() bool { return b.state(t).Connections == before.Connections })
			for i, transport := range transports {
				calls[i].end(t, transport)
			}
			b.expectRecovered(t, before, a.attackers)
		})
	}
}

// keptPerAttacker in bytes: the Go runtime keeps the descriptor of every goroutine there was (440 bytes, more with -race), and maps do not shrink.
const keptPerAttacker = 1 << 10

func (b *besieged) expectRecovered(t *testing.T, before siegeState, attackers int) {
	t.Helper()
	// Those of pion's servers stay.
	eventually(t, "its goroutines have ended", func() bool { return b.state(t).Goroutines <= before.Goroutines+maxControls })
	// What was there before may have had a read's buffers of 2 MB in it, or not.
	if after, most := b.state(t).Memory, before.Memory+4<<20+uint64(attackers)*keptPerAttacker; after > most {
		t.Errorf("%d bytes of memory in use, want %d at most: %d before the attack", after, most, before.Memory)
	}
	least := slices.Min([]float64{b.cpu(t), b.cpu(t)})
	if least > 0.2 {
		t.Errorf("the server takes %.2f cores with nothing to do", least)
	}
	c := newTestClient(t, dial(t, "tcp", b.start.TCP), ClientConfig{})
	if _, err := c.Binding(context10(t)); err != nil {
		t.Errorf("a new client: %v", err)
	}
}
