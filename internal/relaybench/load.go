//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// A shape is how a load looks: so many packets per second in trains on so many connections.
type shape struct {
	conns, train, size, rate int
}

var shapes = map[string]shape{
	"trains": {conns: 100, train: 8, size: 1200},
	"lone":   {conns: 200, train: 1, size: 160, rate: 10000}, // every 20 ms, as audio
}

// result is one figure of one round.
type result struct {
	round                        int
	server, transport, load, way string
	offered, sent, relayed       uint64
	took                         time.Duration // to send
	relayedWithin                time.Duration // to relay all that was relayed
	cpu, loadCPU                 time.Duration
	memory                       int     // bytes per allocation
	allocations                  float64 // per second
	allocationCPU                time.Duration
	median, p99, ownP99          time.Duration // of delays; the last is the link's own
}

func (r result) String() string {
	switch r.load {
	case "throttled":
		return fmt.Sprintf("%-8s %s throttled: delay p50 %v, p99 %v, the link's own %v; %.0f %% arrived", r.server, r.transport,
			r.median.Round(time.Millisecond), r.p99.Round(time.Millisecond), r.ownP99.Round(time.Millisecond), 100*r.share())
	case "idle":
		return fmt.Sprintf("%-8s %s idle: %d B and %v per allocation, %.0f/s", r.server, r.transport, r.memory, r.allocationCPU, r.allocations)
	}
	return fmt.Sprintf("%-8s %s %s %-4s: offered %.0f/s, sent %.0f/s, relayed %.0f/s (%.2f %%), %.2f us CPU per packet; CPU: server %.0f %%, load %.0f %%",
		r.server, r.transport, r.load, r.way, r.perSecond(r.offered), r.perSecond(r.sent), r.relayedPerSecond(),
		100*r.share(), r.cpuPerPacket(), 100*r.cpu.Seconds()/r.relayedWithin.Seconds(), 100*r.loadCPU.Seconds()/r.relayedWithin.Seconds())
}

func (r result) perSecond(n uint64) float64 { return float64(n) / r.took.Seconds() }

// relayedPerSecond counts the time that a server needed for what had queued up before it.
func (r result) relayedPerSecond() float64 { return float64(r.relayed) / r.relayedWithin.Seconds() }

// share is what was relayed of what was really sent.
func (r result) share() float64 { return float64(r.relayed) / float64(max(r.sent, 1)) }

// delayBeyond the link's own is in milliseconds.
func (r result) delayBeyond(d time.Duration) float64 { return (d - r.ownP99).Seconds() * 1000 }

// cpuPerPacket is in microseconds.
func (r result) cpuPerPacket() float64 {
	return float64(r.cpu.Nanoseconds()) / 1000 / float64(max(r.relayed, 1))
}

// A caller is one client of the load.
type caller struct {
	*turntcp.Client
	relay   netip.AddrPort
	channel uint16
	conn    net.Conn // below the client
	counter *counter // in place of the client, if there is one
}

func (c *caller) close() {
	c.conn.Close()
	c.Close()
	if c.counter != nil {
		c.counter.Close()
	}
}

func dial(ctx context.Context, addr, transport string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil || transport == "tcp" {
		return nc, err
	}
	secure := tls.Client(nc, clientTLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secure, nil
}

func newCaller(ctx context.Context, addr, transport string, peer netip.AddrPort) (*caller, error) {
	nc, err := dial(ctx, addr, transport)
	if err != nil {
		return nil, err
	}
	c := &caller{conn: nc}
	c.Client = turntcp.NewClient(handover{nc}, turntcp.ClientConfig{
		Username: user, Password: password, Timeout: 20 * time.Second, ReadBuffer: 4 << 10,
	})
	a, err := c.Allocate(ctx)
	if err == nil && peer.IsValid() {
		c.channel, err = c.Bind(ctx, peer)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	c.relay = a.Relayed
	return c, nil
}

// newCallers makes many, some at a time.
func newCallers(ctx context.Context, n int, addr, transport string, peer netip.AddrPort) ([]*caller, error) {
	const atATime = 16
	all := make([]*caller, n)
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(atATime, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				all[i], errs[i] = newCaller(ctx, addr, transport, peer)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		hangUp(all)
		return nil, err
	}
	return all, nil
}

func hangUp(all []*caller) {
	for _, c := range all {
		if c != nil {
			c.close()
		}
	}
}

// drive puts a load on a server, one way, and waits until it has relayed what it will.
func drive(ctx context.Context, srv *server, transport, way string, s shape, length time.Duration) (result, error) {
	r := result{way: way}
	p, err := newPeer()
	if err != nil {
		return r, err
	}
	defer p.close()
	callers, err := newCallers(ctx, s.conns, srv.addr[transport], transport, p.addr)
	if err != nil {
		return r, err
	}
	defer hangUp(callers)
	relayed := func() uint64 { n, _ := p.got(); return n }
	if way == "down" {
		var bytes atomic.Uint64
		buf := make([]byte, 256<<10)
		frame := len(turntcp.AppendChannelData(nil, 0x4000, make([]byte, s.size)))
		for _, c := range callers {
			if c.counter, err = takeOver(c.Client, c.conn, &bytes, buf); err != nil {
				return r, err
			}
			if err := c.counter.wakeAt(s.train * frame); err != nil {
				return r, err
			}
		}
		relayed = func() uint64 { return bytes.Load() / uint64(frame) }
	}
	serverCPU, err := cpuTime(srv.pid())
	if err != nil {
		return r, err
	}
	ownCPU, err := cpuTime(os.Getpid())
	if err != nil {
		return r, err
	}
	began := time.Now()
	if r.offered, r.sent, err = send(ctx, callers, p, way, s, length); err != nil {
		return r, err
	}
	r.took = time.Since(began)
	for _, c := range callers {
		if c.counter != nil {
			_ = c.counter.wakeAt(1) // a train may have lost some; a connection that has ended has nothing to count
		}
	}
	var last time.Time
	r.relayed, last = settled(relayed)
	r.relayedWithin = max(last.Sub(began), r.took)
	cpu, err := cpuTime(srv.pid())
	if err != nil {
		return r, err
	}
	own, err := cpuTime(os.Getpid())
	r.cpu, r.loadCPU = cpu-serverCPU, own-ownCPU
	return r, err
}

// settled waits until a count has stood still for 300 ms, 10 s at most, and says since when.
func settled(count func() uint64) (last uint64, since time.Time) {
	last, since = count(), time.Now()
	for end := since.Add(10 * time.Second); time.Since(since) < 300*time.Millisecond && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		if now := count(); now != last {
			last, since = now, time.Now()
		}
	}
	return last, since
}

// send sends from all callers, or to all of their relays, each at its own times.
func send(ctx context.Context, callers []*caller, p *peer, way string, s shape, length time.Duration) (offered, sent uint64, err error) {
	period := time.Duration(s.train*len(callers)) * time.Second / time.Duration(s.rate)
	began := time.Now().Add(10 * time.Millisecond)
	var all, done atomic.Uint64
	errs := make([]error, len(callers))
	var wg sync.WaitGroup
	for i, c := range callers {
		one := c.sender(s)
		if way == "down" {
			one = newTrain(p, c.relay, s.train, s.size).send
		}
		first := began.Add(period * time.Duration(i) / time.Duration(len(callers)))
		wg.Go(func() {
			o, n, err := pace(ctx, first, began.Add(length), period, one)
			all.Add(o * uint64(s.train))
			done.Add(n)
			errs[i] = err
		})
	}
	wg.Wait()
	return all.Load(), done.Load(), errors.Join(errs...)
}

// sender returns what sends a train of ChannelData with one write.
func (c *caller) sender(s shape) func() (int, error) {
	var frames []byte
	for range s.train {
		frames = turntcp.AppendChannelData(frames, c.channel, make([]byte, s.size))
	}
	return func() (int, error) { return s.train, c.WriteFrames(frames) }
}

// pace calls one whenever a train is due. Who is held up for long does not make up for what is more than
// five trains ago: that was offered and not sent.
func pace(ctx context.Context, due, end time.Time, period time.Duration, one func() (int, error)) (offered, sent uint64, err error) {
	for ; due.Before(end); due = due.Add(period) {
		offered++
		late := time.Since(due)
		if late > 5*period {
			continue
		}
		if late < 0 {
			time.Sleep(-late)
		}
		n, err := one()
		if err != nil {
			return offered, sent, err
		}
		sent += uint64(n)
		if err := ctx.Err(); err != nil {
			return offered, sent, err
		}
	}
	return offered, sent, nil
}
