package loadgen

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/turngate/turngate/turntcp"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// onlyLoopback is what a TURN server must be told to relay to a peer here.
var onlyLoopback = netip.MustParsePrefix("127.0.0.1/32")

// startEcho starts a peer that answers addresses of the prefixes.
func startEcho(t testing.TB, allow ...netip.Prefix) *EchoPeer {
	t.Helper()
	p, err := ListenEcho("127.0.0.1:0", allow)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.Close()
	})
	return p
}

func dialEcho(t testing.TB, p *EchoPeer) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func marked(size int) []byte {
	b := make([]byte, size)
	(&packet{run: 7, call: 3, stream: 1, due: time.Second}).put(b)
	return b
}

// An echo peer answers a generator's packets, each once with as many bytes, and nothing else.
func TestEchoPeer(t *testing.T) {
	answer := marked(100)
	binary.BigEndian.PutUint32(answer, echoedMark)
	unmarked := marked(100)
	unmarked[3]++
	for _, test := range []struct {
		name     string
		allow    netip.Prefix
		packet   []byte
		echoed   bool
		counted  func(EchoCounts) int64
		answered []byte
	}{
		{"marked", loopback, marked(100), true, func(c EchoCounts) int64 { return c.Echoed }, answer},
		{"the largest", loopback, marked(MaxPacket), true, func(c EchoCounts) int64 { return c.Bytes / MaxPacket }, nil},
		{"larger", loopback, marked(MaxPacket + 1), false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"much larger", loopback, marked(9000), false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"an answer", loopback, answer, false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"another's", loopback, unmarked, false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"a mark alone", loopback, marked(headerSize)[:headerSize-1], false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"nothing", loopback, nil, false, func(c EchoCounts) int64 { return c.Others }, nil},
		{"from elsewhere", netip.MustParsePrefix("192.0.2.0/24"), marked(100), false, func(c EchoCounts) int64 { return c.Strangers }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startEcho(t, test.allow)
			conn := dialEcho(t, p)
			if _, err := conn.Write(test.packet); err != nil {
				t.Fatal(err)
			}
			for p.Counts().seen() == 0 {
				time.Sleep(time.Millisecond)
			}
			if c := p.Counts(); test.counted(c) != 1 || c.seen() != 1 {
				t.Errorf("counted %+v", c)
			}
			if !test.echoed {
				return // seen, and so are all that it has sent
			}
			b := make([]byte, 2*MaxPacket)
			n, err := conn.Read(b)
			if err != nil || n != len(test.packet) || test.answered != nil && string(b[:n]) != string(test.answered) {
				t.Errorf("the answer is %d bytes, %x, %v", n, b[:min(n, headerSize)], err)
			}
		})
	}
}

func (c EchoCounts) seen() int64 { return c.Echoed + c.Strangers + c.Others + c.Unsent }

func TestEchoPeerAllocatesNothing(t *testing.T) {
	conn := dialEcho(t, startEcho(t, loopback))
	b, answer := marked(1000), make([]byte, MaxPacket)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(answer); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func toPeer(t *testing.T, profile string, near Dial, peer netip.AddrPort) *Generator {
	t.Helper()
	p, err := FindProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Profile: p, Seed: 7, Near: near, Peer: peer, User: "user", Password: "password", MaxLateness: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// Calls to an echo peer have one end here: what goes up comes back, and is counted once.
func TestCallsToAnEchoPeer(t *testing.T) {
	t.Parallel()
	peer := startEcho(t, loopback)
	g := toPeer(t, "720p", dialTo(startServer(t, onlyLoopback)), peer.Addr())
	s, err := g.Run(t.Context(), Step{Name: "echo", Calls: 3, Duration: time.Second, Churn: 2})
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Up; f.Received == 0 || f.Received > f.Scheduled || f.Received != f.Delay.Count() { // also of the calls that were replaced
		t.Errorf("up: %d due, %d sent, %d came back, %d delays", f.Scheduled, f.Sent, f.Received, f.Delay.Count())
	}
	if d := s.Down; d.Scheduled != 0 || d.Delay.Count() != 0 || d.Mbps != s.Up.Mbps || d.PPS != s.Up.PPS {
		t.Errorf("down: %+v, want the rates of what came back and nothing else", d)
	}
	if len(s.Streams) != 3 || s.Tunnels.Opened < 3 || s.Tunnels.Lost != 0 {
		t.Errorf("%d streams, tunnels %+v", len(s.Streams), s.Tunnels)
	}
	if c := peer.Counts(); c.Echoed < s.Up.Received || c.Strangers+c.Others != 0 {
		t.Errorf("the peer has counted %+v, and %d came back", c, s.Up.Received)
	}
}

// The delay is half of the round trip, and late loss is of all of it.
func TestEchoIsARoundTrip(t *testing.T) {
	t.Parallel()
	h := half{trip: true}
	h.reset(1, span{end: time.Minute, window: time.Minute})
	shared := newShard(1)
	for i, trip := range []time.Duration{20, 80, 190} { // ms
		due := time.Duration(i) * time.Second
		h.due(0, due, 1, true, 0)
		h.came(packet{due: due, parts: 1, frame: uint32(i)}, due+trip*time.Millisecond, 1, false, shared)
	}
	if d := shared.delay[0]; d.Milliseconds(0) > 10.1 || d.Milliseconds(1) < 94 || d.Milliseconds(1) > 96 {
		t.Errorf("delays from %v to %v ms, want 10 to 95", d.Milliseconds(0), d.Milliseconds(1))
	}
	if late := h.streams[0].late; late != [...]int64{1, 1, 1, 0} {
		t.Errorf("late by 60, 100, 150, 200 ms: %v, want the third to be late by 170", late)
	}
	if mean := h.windows[0].delays / 3; mean.Round(time.Millisecond) != 48*time.Millisecond {
		t.Errorf("the mean delay of the window is %v, want 48 ms", mean)
	}
}

// A peer that is not there is told from a server that does not let us reach it.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	silent := startEcho(t, netip.MustParsePrefix("192.0.2.0/24"))
	for _, test := range []struct {
		name, server string
		peer         netip.AddrPort
		noEcho       bool
	}{
		{"silent", startServer(t, onlyLoopback), silent.Addr(), true},
		{"refused", startServer(t), netip.MustParseAddrPort("192.0.2.1:9"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the server's answer takes a thousandth of it
			defer cancel()
			err := toPeer(t, "audio", dialTo(test.server), test.peer).Try(ctx)
			if err == nil || errors.Is(err, ErrNoEcho) != test.noEcho {
				t.Errorf("got %v", err)
			}
			if te := (*turntcp.Error)(nil); !test.noEcho && (!errors.As(err, &te) || te.Code != 403) {
				t.Errorf("got %v, want the server's 403", err)
			}
		})
	}
}

func TestEchoedProfiles(t *testing.T) {
	for _, test := range []struct {
		name    string
		streams int
		mbps    float64
		told    bool
	}{{"audio", 2, 0.072, false}, {"720p", 3, 2.472, false}, {"simulcast", 5, 6.372, true}, {"screen", 3, 2.072, true}, {"idle", 0, 0, false}} {
		p, err := FindProfile(test.name)
		if err != nil {
			t.Fatal(err)
		}
		e := p.Echoed()
		if mbps := e.Mbps(); len(e.Streams) != test.streams || mbps < test.mbps-1e-9 || mbps > test.mbps+1e-9 || (e.Summary != p.Summary) != test.told {
			t.Errorf("%s: %d streams, %v Mbit/s, %q", test.name, len(e.Streams), mbps, e.Summary)
		}
		if again := e.Echoed(); len(again.Streams) != len(e.Streams) || again.Summary != e.Summary || len(e.Record().Streams) != 2*test.streams {
			t.Errorf("%s: echoed again %+v; the record has %d streams", test.name, again, len(e.Record().Streams))
		}
	}
}
