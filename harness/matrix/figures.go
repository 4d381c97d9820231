package matrix

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/turntcp"
)

const (
	pingSize  = 160         // bytes: 20 ms of G.711, a typical lone packet
	pingWait  = time.Second // after which a ping counts as lost
	trainSize = 1200        // bytes per packet of a burst
	train     = 8           // packets written at once
	window    = 128         // packets in flight: less than what a relay socket buffers
	stall     = 100 * time.Millisecond
)

// A receiver is what an end does with what it receives; it can be changed while data comes in.
type receiver struct {
	f atomic.Pointer[func(turntcp.Data)]
}

func (r *receiver) onData(d turntcp.Data) {
	if f := r.f.Load(); f != nil {
		(*f)(d)
	}
}

func (r *receiver) set(f func(turntcp.Data)) { r.f.Store(&f) }

// A call is two ends that can send to each other.
type call struct {
	near, far     *leg
	nearIn, farIn *receiver
	up, down      uint16 // channels
}

// measureCall spends the duration, a half on round trips and a quarter on a burst each way.
func (c *call) measure(ctx context.Context, d time.Duration) (report.Figures, error) {
	var f report.Figures
	var err error
	if f.RTT, f.RTTLost, err = c.roundTrips(ctx, d/2); err != nil {
		return f, err
	}
	if f.UpMbps, f.UpLoss, err = burst(ctx, c.near.client, c.up, c.farIn, d/4); err != nil {
		return f, err
	}
	f.DownMbps, f.DownLoss, err = burst(ctx, c.far.client, c.down, c.nearIn, d/4)
	return f, err
}

// roundTrips sends lone packets, each after the answer to the one before, and so measures the path
// when it is idle.
func (c *call) roundTrips(ctx context.Context, d time.Duration) (measure.Summary, int64, error) {
	c.farIn.set(func(data turntcp.Data) {
		// An error shows as a lost answer.
		_ = c.far.client.WriteChannel(c.down, data.Payload)
	})
	answered := make(chan uint64, 1)
	c.nearIn.set(func(data turntcp.Data) {
		if len(data.Payload) == pingSize {
			select {
			case answered <- binary.BigEndian.Uint64(data.Payload):
			default:
			}
		}
	})
	rtt, lost := measure.NewLatency(), int64(0)
	packet := make([]byte, pingSize)
	end := time.Now().Add(d)
	for seq := uint64(1); seq == 1 || time.Now().Before(end); seq++ {
		binary.BigEndian.PutUint64(packet, seq)
		sent := time.Now()
		if err := c.near.client.WriteChannel(c.up, packet); err != nil {
			return rtt.Summary(), lost, stageError{"echo", err}
		}
		if ok, err := await(ctx, c.near.client, answered, seq); err != nil {
			return rtt.Summary(), lost, err
		} else if !ok {
			lost++
			continue
		}
		rtt.Record(time.Since(sent))
	}
	if rtt.Summary().Count == 0 {
		return rtt.Summary(), lost, stageError{"echo", context.DeadlineExceeded}
	}
	return rtt.Summary(), lost, nil
}

// await waits for the answer to one ping.
func await(ctx context.Context, client *turntcp.Client, answered <-chan uint64, seq uint64) (bool, error) {
	timeout := time.NewTimer(pingWait)
	defer timeout.Stop()
	for {
		select {
		case got := <-answered:
			if got == seq {
				return true, nil
			}
		case <-timeout.C:
			return false, nil
		case <-client.Done():
			return false, stageError{"echo", client.Err()}
		case <-ctx.Done():
			return false, stageError{"echo", context.Cause(ctx)}
		}
	}
}

// burst sends trains for the duration with a bounded number of packets in flight, and returns the
// goodput that arrived in Mbit/s and the share that did not.
func burst(ctx context.Context, from *turntcp.Client, channel uint16, to *receiver, d time.Duration) (mbps, loss float64, err error) {
	var received, last atomic.Int64
	progress := make(chan struct{}, 1)
	start := time.Now()
	to.set(func(turntcp.Data) {
		received.Add(1)
		last.Store(int64(time.Since(start)))
		select {
		case progress <- struct{}{}:
		default:
		}
	})
	frames := trainOf(channel)
	sent, writtenOff := int64(0), int64(0)
	for sent == 0 || time.Since(start) < d { // at least once, however little time there is
		if sent-writtenOff-received.Load() > window-train {
			if moved, err := waitProgress(ctx, from, progress); err != nil {
				return 0, 0, err
			} else if !moved {
				writtenOff = sent - received.Load() // what is out this long will not come
			}
			continue
		}
		if err := from.WriteFrames(frames); err != nil {
			return 0, 0, stageError{"burst", err}
		}
		sent += train
	}
	for received.Load() < sent {
		if moved, err := waitProgress(ctx, from, progress); err != nil || !moved {
			break
		}
	}
	got := received.Load()
	if got == 0 {
		return 0, 1, stageError{"burst", context.DeadlineExceeded}
	}
	bits := float64(got) * trainSize * 8
	return bits / time.Duration(last.Load()).Seconds() / 1e6, 1 - float64(got)/float64(sent), nil
}

func trainOf(channel uint16) (frames []byte) {
	payload := make([]byte, trainSize)
	for range train {
		frames = turntcp.AppendChannelData(frames, channel, payload)
	}
	return frames
}

// waitProgress waits for something to arrive; false means that nothing did for a while.
func waitProgress(ctx context.Context, client *turntcp.Client, progress <-chan struct{}) (bool, error) {
	timeout := time.NewTimer(stall)
	defer timeout.Stop()
	select {
	case <-progress:
		return true, nil
	case <-timeout.C:
		return false, nil
	case <-client.Done():
		return false, stageError{"burst", client.Err()}
	case <-ctx.Done():
		return false, stageError{"burst", context.Cause(ctx)}
	}
}
