package testproxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits are what a Proxy can carry, for tests that must find it out. All connections share them. The
// zero value of each field is no limit.
type Limits struct {
	Mbps       float64       // of each direction, all tunnels together; what is above waits
	Delay      time.Duration // added to every byte in a tunnel, each way
	Tunnels    int           // at a time; to more CONNECTs the answer is 503
	Helpers    int           // credentials that are verified at a time; others wait
	HelperTime time.Duration // that verifying once takes, with Helpers
	Stalls     bool          // Stall may be called
}

// errFull is why a tunnel was refused.
var errFull = errors.New("the lab's limit of tunnels is reached")

// capacity enforces Limits, and stalls.
type capacity struct {
	Limits
	helpers  chan struct{}
	up, down meter

	mu      sync.Mutex
	open    int
	stalled time.Time // nothing passes before
}

func newCapacity(l Limits) *capacity {
	c := &capacity{Limits: l, up: meter{mbps: l.Mbps}, down: meter{mbps: l.Mbps}}
	if l.Helpers > 0 {
		c.helpers = make(chan struct{}, l.Helpers)
	}
	return c
}

// Stall lets nothing pass through any tunnel for d from now on; what comes in the meantime waits. It
// needs Limits.Stalls, which costs a buffer for each direction.
func (p *Proxy) Stall(d time.Duration) {
	p.capacity.mu.Lock()
	defer p.capacity.mu.Unlock()
	p.capacity.stalled = time.Now().Add(d)
}

func (c *capacity) stall() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.stalled)
}

// enter takes one of the tunnels; leave gives it back.
func (c *capacity) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Tunnels > 0 && c.open >= c.Tunnels {
		return errFull
	}
	c.open++
	return nil
}

func (c *capacity) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// tunnels counts those that are open.
func (c *capacity) tunnels() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// verify waits for a helper and for as long as it takes.
func (p *Proxy) verify() {
	c := p.capacity
	if c.helpers == nil {
		return
	}
	select {
	case c.helpers <- struct{}{}:
		p.sleep(c.HelperTime)
		<-c.helpers
	case <-p.ctx.Done():
	}
}

// full is the answer to a CONNECT above the limit of tunnels.
func (c *conn) full() *response {
	return c.page(http.StatusServiceUnavailable, "ERR_CANNOT_FORWARD", errFull.Error())
}

// limit puts the proxy's limits between the two ends.
func (t *tunnel) limit() {
	c := t.c.p.capacity
	t.up.src = t.limited(t.up.src, &c.up)
	t.down.src = t.limited(t.down.src, &c.down)
}

func (t *tunnel) limited(src io.Reader, m *meter) io.Reader {
	if t.c.p.capacity.Stalls {
		src = &stalling{src, t.c.p}
	}
	if m.mbps > 0 {
		src = &metered{src, t.c.p, m}
	}
	if t.c.p.capacity.Delay > 0 {
		src = t.delayed(src, t.c.p.capacity.Delay)
	}
	return src
}

// A meter is a link that carries one thing after the other.
type meter struct {
	mbps float64
	mu   sync.Mutex
	free time.Time // when it will have carried all it was given
}

// carry returns how long until n more bytes are through.
func (m *meter) carry(n int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(time.Duration(float64(n) * 8e3 / m.mbps))
	return m.free.Sub(now)
}

// metered reads at the meter's rate, in pieces small enough that tunnels take turns.
type metered struct {
	io.Reader
	p *Proxy
	m *meter
}

const piece = 4096 // bytes

func (r *metered) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), piece)])
	if n > 0 && !r.p.sleep(r.m.carry(n)) {
		return n, errCut
	}
	return n, err
}

// A stalling reader holds back what it has read until the proxy's stall is over.
type stalling struct {
	io.Reader
	p *Proxy
}

func (r *stalling) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for d := r.p.capacity.stall(); n > 0 && d > 0; d = r.p.capacity.stall() {
		if !r.p.sleep(d) {
			return n, errCut
		}
	}
	return n, err
}

// delayed hands on each piece a while after it came. Its goroutine ends with the tunnel.
func (t *tunnel) delayed(src io.Reader, d time.Duration) io.Reader {
	q := make(chan timed, 4096) // 4 MiB at most: beyond that the sender waits
	t.c.p.work.Go(func() {
		defer close(q)
		for {
			b := make([]byte, 1<<10)
			n, err := src.Read(b)
			select {
			case q <- timed{b[:n], err, time.Now().Add(d)}:
			case <-t.over:
				return
			}
			if err != nil {
				return
			}
		}
	})
	return &fromQueue{p: t.c.p, q: q}
}

type timed struct {
	b   []byte
	err error
	due time.Time
}

type fromQueue struct {
	p    *Proxy
	q    chan timed
	head timed
}

func (r *fromQueue) Read(p []byte) (int, error) {
	for len(r.head.b) == 0 {
		if r.head.err != nil {
			return 0, r.head.err
		}
		next, ok := <-r.q
		if !ok {
			return 0, io.EOF
		}
		r.head = next
		if !r.p.sleep(time.Until(next.due)) {
			return 0, errCut
		}
	}
	n := copy(p, r.head.b)
	r.head.b = r.head.b[n:]
	return n, nil
}
