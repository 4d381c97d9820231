package loadgen

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// maxBacklog is what waits for a connection that does not take it, in bytes, before packets are
// counted as not sent: a few seconds of video.
const maxBacklog = 1 << 20

// An outbox writes the frames of one connection, so that a slow one holds up nobody else: the pacer
// appends, a goroutine writes all that is there at once.
type outbox struct {
	client *turntcp.Client
	wake   chan struct{}

	mu      sync.Mutex
	pending []byte
	spare   []byte
	writing int // bytes that are being written

	backlog atomic.Int64 // most bytes that waited, since it was last read
}

func newOutbox(c *turntcp.Client) *outbox { return &outbox{client: c, wake: make(chan struct{}, 1)} }

// add appends a frame of a stream, size bytes in n packets, and wakes the writer. false: there is no
// room.
func (o *outbox) add(size int, s *sending, n int, due time.Duration) bool {
	o.mu.Lock()
	waiting := len(o.pending) + o.writing
	if waiting+size > maxBacklog {
		o.mu.Unlock()
		return false
	}
	o.pending = s.append(o.pending, n, due)
	waiting = len(o.pending) + o.writing
	o.mu.Unlock()
	if int64(waiting) > o.backlog.Load() {
		o.backlog.Store(int64(waiting)) // the pacer alone raises it
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

// run writes until the client ends.
func (o *outbox) run() {
	for {
		select {
		case <-o.wake:
		case <-o.client.Done():
			return
		}
		o.mu.Lock()
		out := o.pending
		o.pending, o.spare = o.spare[:0], nil
		o.writing = len(out)
		o.mu.Unlock()
		err := o.client.WriteFrames(out)
		o.mu.Lock()
		o.spare, o.writing = out, 0
		o.mu.Unlock()
		if err != nil {
			return // the client has ended by that
		}
	}
}
