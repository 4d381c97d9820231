package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// Calls straight to a server: everything that is due arrives, and every figure is there.
func TestDirect(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "720p", dialTo(address), dialTo(address))
	const calls, seconds = 5, 2
	s, err := g.Run(t.Context(), Step{Name: "direct", Kind: "baseline", Direct: true, Calls: calls, Duration: seconds * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p := g.cfg.Profile
	wanted := p.PPS() / 2 * calls * seconds
	for name, f := range map[string]measure.Flow{"up": s.Up, "down": s.Down} {
		if math.Abs(float64(f.Scheduled)/wanted-1) > 0.15 {
			t.Errorf("%s: %d packets were due, want about %.0f", name, f.Scheduled, wanted)
		}
		if f.Sent != f.Scheduled || f.Received != f.Scheduled || f.Delay.Count() != f.Received {
			t.Errorf("%s: scheduled %d, sent %d, received %d, delays %d; want the same", name, f.Scheduled, f.Sent, f.Received, f.Delay.Count())
		}
		if mbps := p.Mbps() / 2 * calls; math.Abs(f.Mbps/mbps-1) > 0.25 {
			t.Errorf("%s: %.2f Mbit/s, want about %.2f", name, f.Mbps, mbps)
		}
	}
	if len(s.Streams) != len(p.Streams) || s.Streams[0].MOS < 2 || s.Tunnels.Opened != calls || s.Tunnels.Lost != 0 {
		t.Errorf("streams %+v, tunnels %+v", s.Streams, s.Tunnels)
	}
	phases := map[string]int64{}
	for _, ph := range s.Setup {
		phases[ph.Name] = ph.Took.Count()
	}
	for _, name := range []string{"allocate", "bind", "first-media", "total"} {
		if phases[name] != calls {
			t.Errorf("phase %s was measured %d times, want %d", name, phases[name], calls)
		}
	}
	if want := fmt.Sprintf("%016x", Hash(p, 7, 0, calls, seconds*time.Second)); s.Schedule != want {
		t.Errorf("the schedule was %s, want %s", s.Schedule, want)
	}
	if len(s.Windows) != 1 || s.Windows[0].Calls != calls {
		t.Errorf("windows %+v, want one with all calls", s.Windows)
	}
	if s.Generator.Lateness.Count() == 0 || s.Generator.RSS == 0 || s.Generator.FDs == 0 || s.Generator.CPU <= 0 {
		t.Errorf("generator %+v", s.Generator)
	}
}

// Calls stay up from step to step: more are added, the newest go.
func TestGrowAndShrink(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "audio", dialTo(address), dialTo(address))
	for _, n := range []int{2, 5, 1} {
		s, err := g.Run(t.Context(), Step{Calls: n, Duration: 300 * time.Millisecond})
		if err != nil || g.Calls() != n || s.Up.Received == 0 {
			t.Errorf("%d calls up, %d packets, %v; want %d calls", g.Calls(), s.Up.Received, err, n)
		}
	}
}

// A login storm opens by the clock; churn replaces calls while it is measured.
func TestStormAndChurn(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "idle", dialTo(address), dialTo(address))
	s, err := g.Run(t.Context(), Step{Calls: 20, Duration: 700 * time.Millisecond, OpenRate: 50})
	if err != nil || s.Tunnels.Opened != 20 || s.Tunnels.Wanted != 20 {
		t.Errorf("storm: %+v, %v; want 20 of 20", s.Tunnels, err)
	}
	s, err = g.Run(t.Context(), Step{Calls: 20, Duration: time.Second, Churn: 30})
	if err != nil || s.Tunnels.Opened < 20 || s.Tunnels.Opened > 40 || s.Tunnels.Lost != 0 || g.Calls() != 20 {
		t.Errorf("churn: %+v, %d calls, %v; want about 30 opened, none lost", s.Tunnels, g.Calls(), err)
	}
}

// What a call has counted stays when churn replaces it, but for what was under way at that moment.
func TestChurnForgetsNothing(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "audio", dialTo(address), dialTo(address))
	s, err := g.Run(t.Context(), Step{Calls: 10, Duration: 2 * time.Second, Churn: 10})
	if err != nil {
		t.Fatal(err)
	}
	const all = 10 * 2 * (50 + 5) // calls, seconds, audio and RTCP
	for name, f := range map[string]measure.Flow{"up": s.Up, "down": s.Down} {
		if f.Scheduled < all/2 || f.Scheduled > all || f.Received > f.Scheduled || f.Delay.Count()-f.Received > 20 || f.Received > f.Delay.Count() {
			t.Errorf("%s: %d packets due, %d received, %d delays; want about %d of each", name, f.Scheduled, f.Received, f.Delay.Count(), all)
		}
	}
	if len(s.Windows) != 1 || s.Windows[0].Calls < 20 {
		t.Errorf("windows %+v, want one with the calls that were there first and with those that replaced them", s.Windows)
	}
}

// A stall of the way shows in the percentiles as it was: nobody waits for it before sending on.
func TestStallIsNotOmitted(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	way := &stallingWay{address: address}
	g := start(t, "audio", way.dial, dialTo(address))
	const stall, length = time.Second, 4 * time.Second
	time.AfterFunc(length/2, func() { way.stall(stall) })
	s, err := g.Run(t.Context(), Step{Calls: 3, Duration: length})
	if err != nil {
		t.Fatal(err)
	}
	// A quarter of the time stands still: delays fall evenly from one second to nothing, so an eighth
	// of all packets waits longer than half a second.
	late := 1 - share(s.Up.Delay, stall/2)
	if late < 0.08 || late > 0.25 {
		t.Errorf("%.1f %% of the packets were late by more than half of the stall, want about 12.5 %%", 100*late)
	}
	if top := s.Up.Delay.Milliseconds(1); top < 900 || top > 1800 {
		t.Errorf("the longest delay is %.0f ms, want about 1000", top)
	}
	if late := s.Up.Late[judged].Share; late < 0.15 || late > 0.4 {
		t.Errorf("late beyond 100 ms: %.1f %%, want about 22 %%", 100*late)
	}
	if s.Streams[0].Stalls == 0 && s.Streams[1].Stalls == 0 {
		t.Error("no stall was counted")
	}
}

// share is that of the observations below d.
func share(l *measure.Latency, d time.Duration) float64 {
	below := 0.0
	for q := 0.0; q <= 1; q += 0.005 {
		if l.Milliseconds(q) < measure.Milliseconds(d) {
			below = q
		}
	}
	return below
}

// A stallingWay passes bytes on but for the time of a stall.
type stallingWay struct {
	address string
	mu      sync.Mutex // held during a stall
	pieces  int
}

func (w *stallingWay) stall(d time.Duration) {
	w.mu.Lock()
	time.AfterFunc(d, w.mu.Unlock)
}

func (w *stallingWay) dial(ctx context.Context) (net.Conn, []Phase, error) {
	out, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, nil, err
	}
	near, far := net.Pipe()
	copyTo := func(dst, src net.Conn) {
		defer dst.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := src.Read(b)
			w.mu.Lock() // waits for the end of a stall
			w.pieces++
			w.mu.Unlock()
			if err != nil {
				return
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
	}
	go copyTo(out, far)
	go copyTo(far, out)
	return near, nil, nil
}

// A tunnel that somebody cuts is lost, with its cause, and its packets count as never arrived.
func TestLostTunnel(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	var mu sync.Mutex
	var conns []net.Conn
	near := func(ctx context.Context) (net.Conn, []Phase, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		mu.Lock()
		conns = append(conns, conn)
		mu.Unlock()
		return conn, []Phase{{"tcp", time.Millisecond}}, err
	}
	g := start(t, "audio", near, dialTo(address))
	time.AfterFunc(700*time.Millisecond, func() {
		mu.Lock()
		defer mu.Unlock()
		conns[0].Close()
	})
	s, err := g.Run(t.Context(), Step{Calls: 2, Duration: 1500 * time.Millisecond})
	if err != nil || s.Tunnels.Lost != 1 || len(s.Tunnels.Causes) != 1 {
		t.Errorf("tunnels %+v, %v; want one lost, with its cause", s.Tunnels, err)
	}
	if late := s.Up.Late[judged].Share; late < 0.05 {
		t.Errorf("late %.3f, want the packets of the lost tunnel among them", late)
	}
}

// What cannot be opened is counted by cause; a fatal error ends the step at once.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	refused := errors.New("refused")
	tries := 0
	var mu sync.Mutex
	near := func(context.Context) (net.Conn, []Phase, error) {
		mu.Lock()
		defer mu.Unlock()
		tries++
		return nil, []Phase{{"tcp", time.Millisecond}}, fmt.Errorf("no: %w", refused)
	}
	g := start(t, "idle", near, dialTo(address))
	s, err := g.Run(t.Context(), Step{Calls: 5, Duration: 50 * time.Millisecond})
	if err != nil || s.Tunnels.Wanted != 5 || s.Tunnels.Opened != 0 || s.Tunnels.Causes["no: refused"] != 5 {
		t.Errorf("tunnels %+v, %v; want 5 wanted, none opened, and why", s.Tunnels, err)
	}
	g.cfg.Fatal, g.cfg.Opening = func(err error) bool { return errors.Is(err, refused) }, 1
	tries = 0
	if _, err := g.Run(t.Context(), Step{Calls: 5, Duration: 50 * time.Millisecond}); !errors.Is(err, refused) || tries > 2 {
		t.Errorf("error %v after %d tries, want the fatal one after the first", err, tries)
	}
}

// What the step under way has counted is known at any time, and taking a look changes nothing.
func TestSoFar(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "audio", dialTo(address), dialTo(address))
	if s, counted := g.SoFar(); counted {
		t.Errorf("before the first step: %+v", s)
	}
	var looks []measure.Step
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for len(looks) < 3 || looks[len(looks)-1].Up.Received < 100 {
			if s, counted := g.SoFar(); counted && s.Up.Received > 0 {
				looks = append(looks, s)
			}
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
	}()
	last, err := g.Run(ctx, Step{Name: "long", Calls: 2, Duration: time.Hour})
	if !errors.Is(err, context.Canceled) || !last.Partial {
		t.Fatalf("%v, partial %v", err, last.Partial)
	}
	if s, counted := g.SoFar(); counted {
		t.Errorf("after the step: %+v", s)
	}
	for i, s := range append(looks, last) {
		if i > 0 && (s.Up.Received < looks[i-1].Up.Received || s.Seconds <= looks[i-1].Seconds) {
			t.Errorf("look %d: %d packets in %v s, after %d in %v s", i, s.Up.Received, s.Seconds, looks[i-1].Up.Received, looks[i-1].Seconds)
		}
		if s.Name != "long" || !s.Partial || s.Tunnels.Opened != 2 || len(s.Setup) == 0 || s.Up.Delay.Count() == 0 || s.Up.Sent > s.Up.Scheduled {
			t.Errorf("look %d: %q, partial %v, %+v, %d phases, up %+v", i, s.Name, s.Partial, s.Tunnels, len(s.Setup), s.Up)
		}
	}
}

// What may be on its way when a step is cut off is not late; what is older is.
func TestCutOff(t *testing.T) {
	audio := Stream{Name: "audio", Up: true, Rate: 50, Kbps: 32}
	for _, test := range []struct {
		name                string
		came                int64 // of 500 packets due in 10 s
		late                float64
		scheduled, windowed int64
	}{
		{"all", 500, 0, 500, 500},
		{"all but the last second's", 460, 0, 460, 460},
		{"half", 225, 225, 450, 450},
	} {
		g := &Generator{}
		c := &call{g: g, out: &outbox{}}
		sp := span{end: 10 * time.Second, window: 4 * time.Second}
		c.upward.reset(1, sp)
		c.downward.reset(1, sp)
		for i := range 500 {
			due := time.Duration(i) * 20 * time.Millisecond
			c.upward.due(0, due, 1, true, 0)
			if int64(i) < test.came {
				c.upward.came(packet{due: due, parts: 1, frame: uint32(i)}, due+time.Millisecond, 50, false, newShard(1))
			}
		}
		sum := newSums(Profile{Streams: []Stream{audio}}, sp, []*shard{newShard(1)}, true)
		sum.add(c, true)
		if got := mergeLate(nil, sum.streams[0])[judged].Share; got != test.late || sum.streams[0].scheduled != test.scheduled {
			t.Errorf("%s: %v of %d late, want %v of %d", test.name, got, sum.streams[0].scheduled, test.late, test.scheduled)
		}
		windowed := int64(0)
		for _, w := range sum.windows {
			windowed += w.scheduled
		}
		if len(sum.windows) != 3 || windowed != test.windowed {
			t.Errorf("%s: %d windows with %d packets, want 3 with %d", test.name, len(sum.windows), windowed, test.windowed)
		}
	}
}

// Where nobody answers, a few time-outs say it: the rest is not tried, and counts as not opened.
func TestSilenceEndsGrowing(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	const answered, opening = 2, 3
	var tries atomic.Int64
	near := func(ctx context.Context) (net.Conn, []Phase, error) {
		if tries.Add(1) <= answered {
			return dialTo(address)(ctx)
		}
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	g := start(t, "idle", near, dialTo(address))
	g.cfg.Opening = opening
	s, err := g.Run(t.Context(), Step{Calls: 100, Duration: 50 * time.Millisecond, SetupTime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// As many as are tried at a time, and those that were begun before the last of them had failed.
	tried := int(tries.Load())
	if tried < answered+opening || tried > answered+2*opening {
		t.Errorf("%d tries, want %d to %d", tried, answered+opening, answered+2*opening)
	}
	if u := s.Tunnels; u.Wanted != 100 || u.Opened != answered || u.Causes[notTried] != 100-tried {
		t.Errorf("tunnels %+v after %d tries; want 100 wanted, %d opened, the rest not tried", u, tried, answered)
	}
}

// An interrupted step keeps what it has measured.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	g := start(t, "audio", dialTo(address), dialTo(address))
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(700*time.Millisecond, func() { cancel(io.ErrUnexpectedEOF) })
	s, err := g.Run(ctx, Step{Calls: 2, Duration: time.Hour})
	if !errors.Is(err, io.ErrUnexpectedEOF) || s.Up.Received == 0 || s.Seconds < 0.3 || s.Seconds > 30 {
		t.Errorf("%d packets in %.1f s, %v; want what was measured, and why it ended", s.Up.Received, s.Seconds, err)
	}
}

// More calls come and go than a far end has channels. How fast they do is the machine's.
func TestChurnBeyondOneFarEnd(t *testing.T) {
	address := startServer(t)
	g := start(t, "idle", dialTo(address), dialTo(address))
	for opened := 0; opened < 2*callsPerFar; {
		s, err := g.Run(t.Context(), Step{Calls: 50, Duration: time.Second, Churn: 200})
		if err != nil || s.Tunnels.Opened == 0 || s.Tunnels.Opened != s.Tunnels.Wanted {
			t.Fatalf("%+v, %v; want all opened", s.Tunnels, err)
		}
		opened += s.Tunnels.Opened
	}
	for _, f := range g.fars[:len(g.fars)-1] {
		if f.calls == 0 {
			t.Errorf("%d far ends are left, and one is of no use", len(g.fars))
		}
	}
}

// Calls that open too slowly to be replaced by the clock are counted, not left out.
func TestChurnBeyondItsCalls(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	slow := func(ctx context.Context) (net.Conn, []Phase, error) {
		if !wait(ctx, 200*time.Millisecond) {
			return nil, nil, ctx.Err()
		}
		return dialTo(address)(ctx)
	}
	g := start(t, "idle", slow, dialTo(address))
	s, err := g.Run(t.Context(), Step{Calls: 1, Duration: time.Second, Churn: 50})
	if u := s.Tunnels; err != nil || u.Unreplaced < 20 || u.Opened > 7 || len(u.Causes) != 1 {
		t.Errorf("%+v, %v; want about 5 opened of 50, and the others counted", u, err)
	}
}
