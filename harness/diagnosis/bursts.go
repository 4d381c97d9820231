package diagnosis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bursts is what becomes of packets that are sent in groups, one way at a time: what comes back would
// acknowledge them sooner.
type Bursts struct {
	Up   Burst `json:"up"`
	Down Burst `json:"down"`
}

// A Burst is of one way, in milliseconds.
type Burst struct {
	// Second is how much longer the second of two small packets takes than the first, which was sent
	// 3 ms before it; the median of up to seven pairs. With Nagle's algorithm on the way it waits for
	// the receiver's delayed acknowledgement, some 40 ms.
	Second float64 `json:"second_of_pair_ms"`

	// Frame is the time from the first to the last of 20 packets of 1200 bytes that were sent at
	// once, as those of a video's key frame; the median of three.
	Frame float64 `json:"frame_ms"`
}

const (
	pairs      = 7
	lively     = 3                    // pings before each, for receivers delay acknowledgements only while they talk
	pairGap    = 3 * time.Millisecond // so that no hop reads both at once
	frames     = 3
	frameSize  = 20 // packets
	burstsTime = 4 * time.Second
	slowest    = 100.0 // ms one way, up to which the stage makes sense
)

// bursts sends pairs and frames, up and then down, after quality and throughput are known.
func (w *walk) bursts(ctx context.Context) (string, error) {
	if q, r := w.report.Quality, w.report.Rate; max(q.Up.P50, q.Down.P50) > slowest || min(r.Up, r.Down) < slowMbps {
		return "", skipped("the way is too slow to tell waiting for an acknowledgement from other waiting")
	}
	up, down := w.ends()
	b := new(Bursts)
	w.report.Bursts = b
	for _, way := range []struct {
		name string
		end  end
		to   *Burst
	}{{"up", up, &b.Up}, {"down", down, &b.Down}} {
		var err error
		if *way.to, err = w.groups(ctx, way.end); err != nil {
			return "", fmt.Errorf("packets in groups, %s: %w", way.name, err)
		}
	}
	return fmt.Sprintf("second of two packets later by %.1f ms up, %.1f down; frame of 24 kB in %.1f ms up, %.1f down",
		b.Up.Second, b.Down.Second, b.Up.Frame, b.Down.Frame), nil
}

func (w *walk) groups(ctx context.Context, e end) (b Burst, err error) {
	var seconds, spreads []time.Duration
	begun := time.Now()
	for range pairs {
		if len(seconds) > 0 && time.Since(begun) > burstsTime/4 {
			break // a long way
		}
		if err := w.liven(ctx); err != nil {
			return b, err
		}
		took, err := group(ctx, e, 2, pingSize, pairGap)
		if err != nil {
			return b, err
		}
		if len(took) == 2 {
			seconds = append(seconds, took[1]-took[0])
		}
	}
	for range frames {
		took, err := group(ctx, e, frameSize, rateSize, 0)
		if err != nil {
			return b, err
		}
		if len(took) == frameSize {
			spreads = append(spreads, slices.Max(took)-slices.Min(took))
		}
	}
	if len(seconds) == 0 {
		return b, errors.Join(errLost, errors.New("no pair came completely"))
	}
	return Burst{milliseconds(median(seconds)), milliseconds(median(spreads))}, nil
}

// liven sends a few datagrams there and back.
func (w *walk) liven(ctx context.Context) error {
	arrived, answered := w.farSink.numbers(), w.nearSink.numbers()
	for i := range lively {
		if _, err := w.ping(ctx, arrived, answered, uint32(i)); err != nil {
			return err
		}
	}
	return nil
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// group sends n packets with a gap between them and returns how long each took; those that do not come
// in time are left out.
func group(ctx context.Context, e end, n, size int, gap time.Duration) (took []time.Duration, err error) {
	sent, arrived := make([]time.Time, n), make(chan struct{})
	var mu sync.Mutex
	seen := make([]time.Time, n)
	missing := n
	e.arrives.set(func(payload []byte, at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if len(payload) != size {
			return
		}
		if i := binary.BigEndian.Uint32(payload); i < uint32(n) && seen[i].IsZero() {
			seen[i] = at
			if missing--; missing == 0 {
				close(arrived)
			}
		}
	})
	defer e.arrives.set(nil)
	for i := range n {
		payload := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(i))[:size]
		sent[i] = time.Now()
		if err := e.client.WriteChannel(e.channel, payload); err != nil {
			return nil, ended(e.client, err)
		}
		if i < n-1 && gap > 0 {
			if err := pause(ctx, gap); err != nil {
				return nil, err
			}
		}
	}
	limit, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	select {
	case <-arrived:
	case <-limit.Done():
	case <-e.client.Done():
		return nil, e.client.Err()
	}
	mu.Lock()
	defer mu.Unlock()
	for i, at := range seen {
		if !at.IsZero() {
			took = append(took, at.Sub(sent[i]))
		}
	}
	return took, ctx.Err()
}
