package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/turntcp"
)

// A Dial opens a connection to the TURN server, ready for TURN, and says what its phases took.
type Dial func(ctx context.Context) (net.Conn, []Phase, error)

// A Phase is one part of a set-up.
type Phase struct {
	Name string
	Took time.Duration
}

// probeStream marks the packet that goes there and back when a call is set up.
const probeStream = 255

// callsPerFar is how many calls share an allocation of the far side, one after the other included: a
// server keeps their channels for ten minutes, and limits their number (turntcp's to 256).
const callsPerFar = 200

// A far is an allocation that the far ends of some calls share.
type far struct {
	client *turntcp.Client
	out    *outbox
	relay  turntcp.Allocation

	// Guarded by the generator:
	calls   int // that have it
	bound   int // that have or had it
	renewed time.Time
}

// A call is one near end, its share of a far one, and what both have counted.
type call struct {
	g        *Generator
	number   int
	life     uint32 // how often the number was opened before
	near     *turntcp.Client
	socket   syscall.RawConn // of near; nil if it has none
	out      *outbox
	far      *far
	relay    turntcp.Allocation
	up, down uint16 // channels
	upward   half
	downward half
	sources  []*source
	first    chan struct{}
	once     sync.Once

	// Guarded by the generator:
	opened  time.Time // zero until the call is in use
	renewed time.Time
	closed  bool  // by us
	died    error // why it ended, by whomever
}

// open sets a call up; due is when that was to begin. What its phases took is returned also with an
// error.
func (g *Generator) open(ctx context.Context, number int, due time.Time) (c *call, phases []Phase, err error) {
	c = &call{g: g, number: number, life: g.lives.next(number), first: make(chan struct{})}
	c.upward.trip = g.cfg.Peer.IsValid()
	conn, phases, err := g.cfg.Near(ctx)
	if err != nil {
		return nil, phases, err
	}
	took := func(name string, since time.Time) {
		phases = append(phases, Phase{name, time.Since(since)})
	}
	c.socket = socketOf(conn)
	c.near = g.client(conn, c.onData, c.onDone)
	start := time.Now()
	if c.relay, err = c.near.Allocate(ctx); err != nil {
		c.near.Close()
		return nil, phases, fmt.Errorf("allocate: %w", err)
	}
	took("allocate", start)
	start = time.Now()
	if err := g.join(ctx, c); err != nil {
		c.near.Close()
		return nil, phases, err
	}
	took("bind", start)
	start = time.Now()
	if err := c.probe(ctx); err != nil {
		g.leave(c)
		c.near.Close()
		return nil, phases, err
	}
	took("first-media", start)
	took("total", due)
	return c, phases, nil
}

func (g *Generator) client(conn net.Conn, onData func(turntcp.Data), onDone func(error)) *turntcp.Client {
	return turntcp.NewClient(conn, turntcp.ClientConfig{
		Username: g.cfg.User, Password: g.cfg.Password, OnData: onData, OnDone: onDone, ReadBuffer: g.cfg.readBuffer(), WriteTimeout: 30 * time.Second,
		Socket: plainSocketOf(conn),
	})
}

// join gives a call its far end, and both their channels.
func (g *Generator) join(ctx context.Context, c *call) (err error) {
	if g.cfg.Peer.IsValid() {
		if c.up, err = c.near.Bind(ctx, g.cfg.Peer); err != nil {
			return fmt.Errorf("channel to the echo peer %v: %w", g.cfg.Peer, err)
		}
		return nil
	}
	if c.far, err = g.farEnd(ctx); err != nil {
		return fmt.Errorf("%w: %w", errFar, err)
	}
	if c.up, err = c.near.Bind(ctx, c.far.relay.Relayed); err != nil {
		g.leave(c)
		return fmt.Errorf("channel: %w", err)
	}
	if c.down, err = c.far.client.Bind(ctx, c.relay.Relayed); err != nil {
		g.leave(c)
		return fmt.Errorf("%w: channel: %w", errFar, err)
	}
	g.index.put(c)
	return nil
}

// errFar is about the far side, which is reached without the proxy.
var errFar = errors.New("the far end")

// ErrNoEcho is why a call to an echo peer has failed that was set up, and to which nothing came back.
var ErrNoEcho = errors.New("nothing comes back from the echo peer")

// leave takes a call from its far end.
func (g *Generator) leave(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.far != nil {
		c.far.calls--
		g.retire(c.far)
		c.far = nil
	}
	g.index.remove(c)
}

// retire ends a far end that has had all its calls.
func (g *Generator) retire(f *far) {
	i := slices.Index(g.fars, f)
	if f.calls > 0 || f.bound < callsPerFar || i < 0 {
		return
	}
	g.fars = slices.Delete(g.fars, i, i+1)
	g.work.Go(func() {
		f.client.Close()
		f.out.wait()
	})
}

// probe sends one packet there and back.
func (c *call) probe(ctx context.Context) error {
	b := make([]byte, headerSize)
	(&packet{run: c.g.run, call: uint32(c.number), life: c.life, stream: probeStream}).put(b)
	limit := time.NewTicker(time.Second) // the way leads over UDP: try again
	defer limit.Stop()
	for range 10 {
		if err := c.near.WriteChannel(c.up, b); err != nil {
			return err
		}
		select {
		case <-c.first:
			return nil
		case <-limit.C:
		case <-c.near.Done():
			return c.near.Err()
		case <-ctx.Done():
			if c.g.cfg.Peer.IsValid() {
				return fmt.Errorf("%w: %w", ErrNoEcho, context.Cause(ctx))
			}
			return fmt.Errorf("first media: %w", context.Cause(ctx))
		}
	}
	if c.g.cfg.Peer.IsValid() {
		return ErrNoEcho
	}
	return errors.New("first media: no packet came back within 10 s")
}

// onData is what the near end receives.
func (c *call) onData(d turntcp.Data) {
	now := time.Since(c.g.epoch)
	p, ok := parsePacket(d.Payload, c.g.run)
	if !ok || p.call != uint32(c.number) || p.life != c.life {
		return
	}
	switch {
	case p.stream == probeStream:
		c.once.Do(func() { close(c.first) })
	case c.g.cfg.Peer.IsValid():
		c.count(&c.upward, p, now)
	default:
		c.count(&c.downward, p, now)
	}
}

// onFarData is what a far end receives: for all its calls.
func (g *Generator) onFarData(f *far, d turntcp.Data) {
	now := time.Since(g.epoch)
	p, ok := parsePacket(d.Payload, g.run)
	if !ok {
		return
	}
	c := g.index.get(p.call)
	if c == nil || c.life != p.life {
		return
	}
	if p.stream == probeStream {
		// What is lost is probed for again.
		_ = f.client.WriteChannel(c.down, d.Payload)
		return
	}
	c.count(&c.upward, p, now)
}

func (c *call) count(h *half, p packet, now time.Duration) {
	if int(p.stream) >= len(c.g.cfg.Profile.Streams) {
		return
	}
	s := &c.g.cfg.Profile.Streams[p.stream]
	h.came(p, now, s.Rate, s.KeyEvery > 0, c.g.shard(c.number))
}

// begin starts the call's streams, which follow their schedules from base on.
func (c *call) begin(base time.Duration) {
	now := time.Since(c.g.epoch)
	for i, s := range c.g.cfg.Profile.Streams {
		st := &sending{c: c, index: i, base: base, schedule: newSchedule(s, c.g.cfg.Seed, c.number, i)}
		if s.Up {
			st.half, st.out, st.channel = &c.upward, c.out, c.up
		} else {
			st.half, st.out, st.channel = &c.downward, c.far.out, c.down
		}
		st.frame = st.schedule.from(now - base)
		c.sources = append(c.sources, &source{due: st.due(), stream: st})
	}
	for _, s := range c.sources {
		c.g.pacer(c.number).add(s)
	}
}

// sending is a stream at the pacer.
type sending struct {
	c        *call
	index    int
	schedule schedule
	base     time.Duration // of the schedule, since the epoch
	next     time.Duration // the base after that, if it is larger
	frame    uint32        // that is next
	half     *half
	out      *outbox
	channel  uint16
	size     int // of the frame that is being sent
	seq      uint32
}

func (s *sending) due() time.Duration { return s.base + s.schedule.due(s.frame) }

// send hands the frame over and returns when the next one is due.
func (s *sending) send(due time.Duration) time.Duration {
	s.size = s.schedule.size(s.frame)
	n := packets(s.size)
	sent := s.out.add(s.size+n*(headerSize+8), s, n, due)
	s.half.due(s.index, due, int64(n), sent, s.schedule.print(s.frame, s.size, due-s.base))
	s.seq += uint32(n)
	s.frame++
	return s.begun(s.due())
}

// restart begins the schedule again at base; what is due before is still sent.
func (s *sending) restart(base, next time.Duration) time.Duration {
	s.next = base
	return s.begun(next)
}

// begun goes over to the next base if that is due before the next frame.
func (s *sending) begun(next time.Duration) time.Duration {
	if s.next > s.base && next >= s.next {
		s.base, s.frame = s.next, 0
		return s.due()
	}
	return next
}

var padding [MaxPacket]byte

// append makes the packets of the frame, all of about the same size.
func (s *sending) append(b []byte, n int, due time.Duration) []byte {
	p := packet{run: s.c.g.run, call: uint32(s.c.number), life: s.c.life, stream: uint8(s.index), parts: uint8(n), frame: s.frame, due: due}
	for i := range n {
		size := max(headerSize, s.size/n)
		at := len(b)
		b = turntcp.AppendChannelData(b, s.channel, padding[:size])
		p.part, p.seq = uint8(i), s.seq+uint32(i)
		p.put(b[at+4:])
	}
	return b
}

// end stops the streams and closes the near end.
func (c *call) end() {
	c.g.pacer(c.number).remove(c.sources)
	c.near.Close()
	c.out.wait()
	c.g.leave(c)
}

// onDone counts a call that somebody else has ended while it was in use.
func (c *call) onDone(err error) {
	c.g.mu.Lock()
	c.died = err
	inUse := !c.closed && !c.opened.IsZero()
	c.g.mu.Unlock()
	if inUse {
		c.g.lose(c, err)
	}
}

func (g *Generator) lose(c *call, err error) {
	g.failed(fmt.Errorf("closed in use: %w", err))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost = append(g.lost, time.Since(c.opened))
}

// renew refreshes what would expire: permissions after 5 minutes, channels and allocation after 10.
func (c *call) renew(ctx context.Context, f *far) (err error) {
	if f == nil {
		_, err = c.near.Bind(ctx, c.g.cfg.Peer)
	} else if _, err = c.near.Bind(ctx, f.relay.Relayed); err == nil {
		_, err = f.client.Bind(ctx, c.relay.Relayed)
	}
	if err == nil {
		_, err = c.near.Refresh(ctx, lifetime)
	}
	return err
}

// phaseLatencies gathers set-up times by phase, in the order in which phases were first seen.
type phaseLatencies struct {
	mu    sync.Mutex
	order []string
	took  map[string]*measure.Latency
}

func (p *phaseLatencies) add(phases []Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took == nil {
		p.took = make(map[string]*measure.Latency)
	}
	for _, ph := range phases {
		if p.took[ph.Name] == nil {
			p.took[ph.Name] = measure.NewLatency()
			p.order = append(p.order, ph.Name)
		}
		p.took[ph.Name].Record(ph.Took)
	}
}

func (p *phaseLatencies) take() (list []measure.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.order {
		list = append(list, measure.Phase{Name: name, Took: p.took[name]})
	}
	p.order, p.took = nil, nil
	return list
}

// soFar is a copy of what take would return.
func (p *phaseLatencies) soFar() (list []measure.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.order {
		list = append(list, measure.Phase{Name: name, Took: p.took[name].Clone()})
	}
	return list
}
