package loadgen

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// The pacer writes by itself where it is in time; if it is late, or the connection takes nothing, a goroutine does.
func TestPacerWrites(t *testing.T) {
	near, far := tcpPair(t)
	p, err := FindProfile("audio")
	if err != nil {
		t.Fatal(err)
	}
	c := &call{g: &Generator{cfg: Config{Profile: p}}}
	c.upward.reset(len(p.Streams), span{0, time.Hour, time.Hour})
	client := turntcp.NewClient(near, turntcp.ClientConfig{Socket: plainSocketOf(near)})
	defer client.Close()
	late, begun := time.Duration(0), 0
	out := newOutbox(client, false, func(time.Duration) time.Duration { return late }, func(time.Duration) { begun++ })
	s := &sending{c: c, index: 0, schedule: newSchedule(p.Streams[0], 1, 0, 0), half: &c.upward, out: out, channel: 0x4000}
	frames := turntcp.NewFrameReader(far, 0)
	for _, c := range []struct {
		name    string
		late    time.Duration
		started bool // a goroutine
	}{{"in time", 0, false}, {"late", behind + 1, true}, {"in time again", 0, false}} {
		late = c.late
		before := begun
		s.send(s.due())
		out.mu.Lock()
		left := len(out.pending)
		out.mu.Unlock()
		if f, err := frames.ReadFrame(); err != nil || f.Channel() != 0x4000 {
			t.Fatalf("%s: %v", c.name, err)
		}
		out.work.Wait()
		if begun != before+1 || !c.started && left > 0 {
			t.Errorf("%s: %d writes begun, %d bytes left to others", c.name, begun-before, left)
		}
	}
}

// Nothing goes to the socket beneath TLS.
func TestPlainSocket(t *testing.T) {
	conn, _ := tcpPair(t)
	if plainSocketOf(conn) == nil {
		t.Error("a TCP connection has no plain socket")
	}
	if plainSocketOf(tunnel{conn}) == nil {
		t.Error("a tunnel has no plain socket")
	}
	for name, c := range map[string]net.Conn{"TLS": tls.Client(conn, new(tls.Config)), "a tunnel in TLS": tunnel{tls.Client(conn, new(tls.Config))}, "TLS in a tunnel": tls.Client(tunnel{conn}, new(tls.Config))} {
		if plainSocketOf(c) != nil {
			t.Errorf("%s has a plain socket", name)
		}
		if socketOf(c) == nil {
			t.Errorf("%s has no socket to look at", name)
		}
	}
}

// A tunnel is as that of proxyconnect.
type tunnel struct{ net.Conn }

func (t tunnel) NetConn() net.Conn { return t.Conn }

func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}
