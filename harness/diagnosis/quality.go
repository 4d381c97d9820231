package diagnosis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// Quality is how media-like packets came over when nothing else was under way: 50 lone packets of 160
// bytes per second, each way at the same time. Both ends are in this process, so delays are one-way.
type Quality struct {
	Up   Delays `json:"up"`
	Down Delays `json:"down"`

	// OwnLate is the share of moments, one every 20 ms meanwhile, to which this process came more than
	// lateAfter late: what a machine that is busy, or was stopped, does to delays by itself.
	OwnLate float64 `json:"own_late_100ms"`
}

// Delays are one-way, in milliseconds. Late is the share of the packets that came more than lateAfter
// after the fastest one, or never: what a jitter buffer could not wait for.
type Delays struct {
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	Min      float64 `json:"min_ms"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	Max      float64 `json:"max_ms"`
	Late     float64 `json:"late_100ms"`
}

// Rate is what went through as fast as it could, sent for half a second each way, in Mbit/s of packets
// of 1200 bytes, with at most 64 of them under way.
type Rate struct {
	Up   float64 `json:"up_mbps"`
	Down float64 `json:"down_mbps"`
}

const (
	qualityTime = 2 * time.Second
	packetEvery = 20 * time.Millisecond
	lateAfter   = 100 * time.Millisecond
	rateTime    = 500 * time.Millisecond
	rateSize    = 1200 // bytes
	rateWindow  = 64   // packets under way: less than a relay socket's buffer holds
	settle      = 500 * time.Millisecond
	silence     = 1500 * time.Millisecond // a shaped path comes in gulps, one a second
)

// A sink is what an end does with what arrives, for as long as one stage lasts.
type sink struct {
	mu sync.Mutex
	f  func(payload []byte, at time.Time)
}

func (s *sink) onData(d turntcp.Data) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != nil {
		s.f(d.Payload, time.Now())
	}
}

func (s *sink) set(f func(payload []byte, at time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f = f
}

// An end sends to the other one.
type end struct {
	client  *turntcp.Client
	channel uint16
	arrives *sink // at the other end
}

func (w *walk) ends() (up, down end) {
	return end{w.near, w.up, &w.farSink}, end{w.far, w.down, &w.nearSink}
}

// quality sends audio-like packets both ways.
func (w *walk) quality(ctx context.Context) (string, error) {
	q, err := w.bothWays(ctx)
	if err == nil && q.worst() >= burstShare {
		// A machine that was busy for a moment looks like a shaper. Shapers stay.
		var again Quality
		if again, err = w.bothWays(ctx); err == nil && again.worst() < q.worst() {
			q = again
		}
	}
	w.report.Quality = &q
	if err != nil {
		return "", fmt.Errorf("audio-like packets: %w", err)
	}
	detail := fmt.Sprintf("one-way delay up %.1f/%.1f ms, down %.1f/%.1f ms (p50/p95), later than 100 ms: %.1f %%",
		q.Up.P50, q.Up.P95, q.Down.P50, q.Down.P95, 100*max(q.Up.Late, q.Down.Late))
	if q.OwnLate > 0 {
		detail += fmt.Sprintf("; this machine was as late by itself %.1f %% of the time", 100*q.OwnLate)
	}
	return detail, nil
}

func (q Quality) worst() float64 { return max(q.Up.Late, q.Down.Late) }

func (w *walk) bothWays(ctx context.Context) (q Quality, err error) {
	up, down := w.ends()
	var errUp, errDown error
	var both sync.WaitGroup
	both.Go(func() { q.Up, errUp = audio(ctx, up) })
	both.Go(func() { q.Down, errDown = audio(ctx, down) })
	q.OwnLate = ownLate(ctx, up.client)
	both.Wait()
	return q, errors.Join(errUp, errDown)
}

// ownLate watches this machine's clock for as long as packets are sent.
func ownLate(ctx context.Context, c *turntcp.Client) float64 {
	start, moments, late := time.Now(), int(qualityTime/packetEvery), 0
	for i := range moments {
		due := start.Add(time.Duration(i) * packetEvery)
		if sleepUntil(ctx, c, due) != nil {
			return float64(late) / float64(max(1, i))
		}
		if time.Since(due) > lateAfter {
			late++
		}
	}
	return float64(late) / float64(moments)
}

// audio sends one way, each packet when it is due; delays count from then.
func audio(ctx context.Context, e end) (Delays, error) {
	packets := int(qualityTime / packetEvery)
	came := newArrivals(packets)
	e.arrives.set(came.add)
	defer e.arrives.set(nil)
	start := time.Now()
	for i := range packets {
		due := start.Add(time.Duration(i) * packetEvery)
		if err := sleepUntil(ctx, e.client, due); err != nil {
			return came.delays(i), err
		}
		payload := binary.BigEndian.AppendUint64(make([]byte, 0, pingSize), uint64(i))
		payload = binary.BigEndian.AppendUint64(payload, uint64(due.Sub(came.epoch)))
		if err := e.client.WriteChannel(e.channel, payload[:pingSize]); err != nil {
			return came.delays(i), ended(e.client, err)
		}
	}
	// What is under way may take its time; packets that are later than this are lost to any call.
	limit, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	select {
	case <-came.all:
	case <-limit.Done():
	case <-e.client.Done():
	}
	return came.delays(packets), ctx.Err()
}

// sleepUntil waits, unless the client or the context ends.
func sleepUntil(ctx context.Context, c *turntcp.Client, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Done():
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// arrivals are the delays of numbered packets.
type arrivals struct {
	epoch time.Time // what the packets' times count from
	all   chan struct{}

	mu   sync.Mutex
	seen []bool
	took []time.Duration
}

func newArrivals(n int) *arrivals {
	return &arrivals{epoch: time.Now(), all: make(chan struct{}), seen: make([]bool, n)}
}

func (a *arrivals) add(payload []byte, at time.Time) {
	if len(payload) != pingSize {
		return
	}
	number, due := binary.BigEndian.Uint64(payload), time.Duration(binary.BigEndian.Uint64(payload[8:]))
	a.mu.Lock()
	defer a.mu.Unlock()
	if number >= uint64(len(a.seen)) || a.seen[number] {
		return
	}
	a.seen[number] = true
	a.took = append(a.took, at.Sub(a.epoch)-due)
	if len(a.took) == len(a.seen) {
		close(a.all)
	}
}

func (a *arrivals) delays(sent int) Delays {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := Delays{Sent: sent, Received: len(a.took)}
	if d.Received == 0 {
		d.Late = 1
		return d
	}
	slices.Sort(a.took)
	at := func(share float64) float64 { return milliseconds(a.took[int(share*float64(len(a.took)-1))]) }
	d.Min, d.P50, d.P95, d.Max = at(0), at(0.5), at(0.95), at(1)
	late := max(0, sent-d.Received)
	for _, t := range a.took {
		if t-a.took[0] > lateAfter {
			late++
		}
	}
	d.Late = float64(late) / float64(max(1, sent))
	return d
}

// rate sends as much as goes through.
func (w *walk) rate(ctx context.Context) (detail string, err error) {
	up, down := w.ends()
	r := new(Rate)
	w.report.Rate = r
	if r.Up, err = burst(ctx, up); err != nil {
		return "", fmt.Errorf("as fast as it goes, up: %w", err)
	}
	if r.Down, err = burst(ctx, down); err != nil {
		return "", fmt.Errorf("as fast as it goes, down: %w", err)
	}
	return fmt.Sprintf("%.1f Mbit/s up, %.1f down", r.Up, r.Down), nil
}

// burst returns the Mbit/s that arrived while packets were sent for a while with a bounded number under
// way, a few at first. Those that are under way at the end are waited for, and counted: what a slow path
// still holds would be in the way of the next stage.
func burst(ctx context.Context, e end) (mbps float64, err error) {
	arrived := make(chan struct{}, rateWindow)
	e.arrives.set(func(payload []byte, _ time.Time) {
		if len(payload) == rateSize {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
	})
	defer e.arrives.set(nil)
	packet := make([]byte, rateSize)
	start := time.Now()
	last, received, underWay := start, 0, 0
	for time.Since(start) < rateTime || underWay > 0 {
		for ; underWay < min(rateWindow, 4+received) && time.Since(start) < rateTime; underWay++ {
			if err := e.client.WriteChannel(e.channel, packet); err != nil {
				return 0, ended(e.client, err)
			}
		}
		select {
		case <-arrived:
			last, received, underWay = time.Now(), received+1, underWay-1
		case <-time.After(silence): // lost: nothing of it will come
			underWay = 0
		case <-e.client.Done():
			return 0, e.client.Err()
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return float64(received) * rateSize * 8 / max(rateTime, last.Sub(start)).Seconds() / 1e6, nil
}

// sizes finds the largest packet that comes through, from small to large: what a slow path still holds of
// a large one would be in the way of all that follow. TCP has no limit to it; the relayed leg has.
func (w *walk) sizes(ctx context.Context) (string, error) {
	up, down := w.ends()
	if r := w.report.Rate; r != nil && min(r.Up, r.Down) > 0 {
		w.report.MaxPacket = rateSize // such packets have come through
	}
	for _, size := range []int{576, rateSize, 1400, 4000, 8000, 16000, 60000} {
		if size <= w.report.MaxPacket {
			continue
		}
		wait := w.passageTime(size)
		if w.report.MaxPacket > 0 && !leaves(ctx, 4*wait) {
			return fmt.Sprintf("packets of up to %d bytes come through; the path is too slow to try larger ones", w.report.MaxPacket), nil
		}
		ok, err := passes(ctx, up, size, wait)
		if ok && err == nil {
			ok, err = passes(ctx, down, size, wait)
		}
		if err != nil {
			return "", fmt.Errorf("packets of %d bytes: %w", size, err)
		}
		if !ok {
			break
		}
		w.report.MaxPacket = size
	}
	if w.report.MaxPacket == 0 {
		return "", fmt.Errorf("%w: not even of 576 bytes", errLost)
	}
	return fmt.Sprintf("packets of up to %d bytes come through", w.report.MaxPacket), nil
}

// passageTime is how long to wait for a packet, by the throughput that was measured.
func (w *walk) passageTime(size int) time.Duration {
	r := w.report.Rate
	if r == nil || min(r.Up, r.Down) == 0 {
		return settle
	}
	least, slowest := settle, min(r.Up, r.Down)
	if slowest < slowMbps {
		least = silence
	}
	return least + time.Duration(2*float64(size)*8/(slowest*1e6)*float64(time.Second))
}

// leaves tells whether the context has so much time left.
func leaves(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > d
}

// passes tells whether one of two packets of a size arrives.
func passes(ctx context.Context, e end, size int, wait time.Duration) (bool, error) {
	arrived := make(chan struct{}, 1)
	e.arrives.set(func(payload []byte, _ time.Time) {
		if len(payload) == size {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
	})
	defer e.arrives.set(nil)
	for range 2 {
		if err := e.client.WriteChannel(e.channel, make([]byte, size)); err != nil {
			return false, ended(e.client, err)
		}
		select {
		case <-arrived:
			return true, nil
		case <-time.After(wait):
		case <-e.client.Done():
			return false, e.client.Err()
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return false, nil
}
