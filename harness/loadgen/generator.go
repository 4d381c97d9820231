package loadgen

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// Config says what to offer and where. Profile, Near, and Far or Peer must be set.
type Config struct {
	Profile Profile
	Seed    uint64 // of the schedules. Generators with the same seed offer the same calls

	Near Dial // the way under test
	Far  Dial // the way to the same server for the other ends, without what is tested

	// Peer, if it is set, answers instead of the far ends: an echo peer that the server relays to (see
	// EchoPeer). The profile is then as Echoed makes it, delays are half of the round trip, and Far is
	// not used.
	Peer netip.AddrPort

	User, Password string // of the TURN server; never shown

	Part    Part          // of the calls that this generator offers. Default all
	Window  time.Duration // of quality. Default 15 s
	Opening int           // set-ups at a time, where the step gives no rate. Default 8
	Pacers  int           // threads that keep the time. Default 1
	Single  bool          // each packet is a write, and a TLS record, of its own. Default: the packets of a frame together

	// MaxLateness is the pacer's 99th percentile above which a step is void. Default 2 ms.
	MaxLateness time.Duration

	// Cause names why a tunnel failed, in a few words without addresses. Default is the error's text.
	Cause func(error) string
	// Fatal errors end a step at once: a rejected credential must not be tried again. Default none.
	Fatal func(error) bool
	// Refused tells errors by which the proxy itself says no to a tunnel. Default none.
	Refused func(error) bool
}

// String names the profile; it keeps the password out of logs.
func (c Config) String() string { return "load of profile " + c.Profile.Name }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// readBuffer is small where there is little to read, since every idle tunnel has one.
func (c *Config) readBuffer() int {
	if len(c.Profile.Streams) == 0 {
		return 2048
	}
	return 16 << 10
}

func (c *Config) setDefaults() error {
	if c.Near == nil || c.Far == nil && !c.Peer.IsValid() {
		return errors.New("loadgen: both ways must be given")
	}
	if c.Peer.IsValid() {
		c.Profile = c.Profile.Echoed()
	}
	if c.Window <= 0 {
		c.Window = 15 * time.Second
	}
	if c.Opening <= 0 {
		c.Opening = 8
	}
	c.Pacers = max(1, c.Pacers)
	if c.MaxLateness <= 0 {
		c.MaxLateness = 2 * time.Millisecond
	}
	if c.Cause == nil {
		c.Cause = error.Error
	}
	if c.Refused == nil {
		c.Refused = func(error) bool { return false }
	}
	if c.Fatal == nil {
		c.Fatal = func(error) bool { return false }
	}
	return errors.Join(c.Profile.Validate(), c.Part.Validate())
}

// A Generator keeps calls up from step to step. Run is for one goroutine; Snapshot for any.
type Generator struct {
	cfg    Config
	epoch  time.Time
	run    uint32
	pacers []*pacer
	shards atomic.Pointer[[]*shard]
	index  callIndex
	lives  lives
	work   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	current  span    // what is being measured
	calls    []*call // the oldest first
	replaced *sums   // of the calls that churn has taken away; nil while none is measured
	fars     []*far
	setup    phaseLatencies
	wanted   int
	opened   int
	refused  int             // by the proxy
	lost     []time.Duration // lifetimes
	causes   map[string]int
	farLost  bool
	starved  error // out of descriptors or ports here
	fatal    error

	underway   atomic.Pointer[underway] // nil between steps
	awaiting   atomic.Int64             // set-ups under way
	silent     atomic.Int64             // set-ups in a row that were not answered in time
	setupTime  atomic.Int64             // of the step, a time.Duration
	unreplaced atomic.Int64             // replacements that were due while every call was being opened
}

func (g *Generator) pacer(call int) *pacer { return g.pacers[call%len(g.pacers)] }

func (g *Generator) shard(call int) *shard {
	all := *g.shards.Load()
	return all[call%len(all)]
}

// shardCount is over how many histograms calls are spread.
const shardCount = 4

// New returns a generator without calls.
func New(cfg Config) (*Generator, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	g := &Generator{cfg: cfg, epoch: time.Now(), run: rand.Uint32(), causes: make(map[string]int)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.current.window = cfg.Window
	g.resetShards()
	for range cfg.Pacers {
		p := newPacer(g.epoch)
		g.pacers = append(g.pacers, p)
		go p.run()
	}
	g.work.Go(g.renewAll)
	return g, nil
}

func (g *Generator) resetShards() {
	var list []*shard
	for range shardCount {
		list = append(list, newShard(len(g.cfg.Profile.Streams)))
	}
	g.shards.Store(&list)
}

// Close ends all calls and waits for what they have running.
func (g *Generator) Close() error {
	g.cancel()
	for _, p := range g.pacers {
		p.close()
	}
	g.shrink(0)
	g.mu.Lock()
	fars := g.fars
	g.fars = nil
	g.mu.Unlock()
	for _, f := range fars {
		f.client.Close()
		f.out.wait()
	}
	g.work.Wait()
	return nil
}

// late is how late something is now that is due.
func (g *Generator) late(due time.Duration) time.Duration { return time.Since(g.epoch) - due }

// Epoch is when the generator was made.
func (g *Generator) Epoch() time.Time { return g.epoch }

// Calls is how many are up.
func (g *Generator) Calls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

// farEnd returns an allocation of the far side that has room for a call, a new one if there is none.
func (g *Generator) farEnd(ctx context.Context) (*far, error) {
	g.mu.Lock()
	defer g.mu.Unlock() // one at a time, so that no two are opened for one call
	for _, f := range g.fars {
		if f.bound < callsPerFar && f.client.Err() == nil {
			f.calls++
			f.bound++
			return f, nil
		}
	}
	conn, _, err := g.cfg.Far(ctx)
	if err != nil {
		return nil, err
	}
	f := &far{calls: 1, bound: 1, renewed: time.Now()}
	ready := make(chan struct{})
	f.client = g.client(conn, func(d turntcp.Data) { <-ready; g.onFarData(f, d) }, nil)
	if f.relay, err = f.client.Allocate(ctx); err != nil {
		f.client.Close()
		return nil, err
	}
	number := len(g.fars)
	f.out = newOutbox(f.client, g.cfg.Single, g.late, func(late time.Duration) { g.shard(number).recordWrite(late) })
	close(ready)
	g.fars = append(g.fars, f)
	return f, nil
}

// renewEvery is after how long a call's permissions and channels are refreshed, lifetime what is
// asked for allocations.
const (
	renewEvery = 4 * time.Minute
	lifetime   = 10 * time.Minute
)

// renewAll keeps what calls hold at the server from expiring, a few at a time.
func (g *Generator) renewAll() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return
		}
		for _, renew := range g.expiring() {
			ctx, cancel := context.WithTimeout(g.ctx, 10*time.Second)
			// What cannot be renewed is lost before long, and counted then.
			_ = renew(ctx)
			cancel()
		}
	}
}

// expiring renews the calls and far ends whose turn it is.
func (g *Generator) expiring() (due []func(context.Context) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for _, f := range g.fars {
		if now.Sub(f.renewed) > renewEvery {
			f.renewed = now
			due = append(due, func(ctx context.Context) error {
				_, err := f.client.Refresh(ctx, lifetime)
				return err
			})
		}
	}
	for _, c := range g.calls {
		if f := c.far; now.Sub(c.renewed) > renewEvery && c.near.Err() == nil && (f != nil || g.cfg.Peer.IsValid()) {
			c.renewed = now
			due = append(due, func(ctx context.Context) error { return c.renew(ctx, f) })
		}
	}
	return due
}

func (g *Generator) failed(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.causes[g.cfg.Cause(err)]++
	if g.cfg.Refused(err) {
		g.refused++
	}
	switch {
	case errors.Is(err, errFar):
		g.farLost = true
	case isStarved(err):
		g.starved = err
	case g.cfg.Fatal(err):
		g.fatal = err
	}
}
