package loadgen

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// maxBacklog is what waits for a connection that does not take it, in bytes, before packets are
// counted as not sent: a few seconds of video.
const maxBacklog = 1 << 20

// An outbox writes the frames of one connection, so that a slow one holds up nobody else: the pacer
// appends, a goroutine that lives while there is something writes all that is there at once.
type outbox struct {
	client *turntcp.Client
	single bool                    // each packet by a write of its own
	write  func()                  // the goroutine, made once
	begun  func(due time.Duration) // called when it begins, with the time when that was due; may be nil
	work   sync.WaitGroup

	mu      sync.Mutex
	pending []byte
	spare   []byte
	writing int // bytes that are being written
	running bool
	first   time.Duration // when what it began with was due
	closed  bool

	backlog atomic.Int64 // most bytes that waited, since it was last reset
}

func newOutbox(c *turntcp.Client, single bool, begun func(due time.Duration)) *outbox {
	o := &outbox{client: c, single: single, begun: begun}
	o.write = o.run
	return o
}

// add appends a frame of a stream, size bytes in n packets, and sees that somebody writes it. false:
// there is no room.
func (o *outbox) add(size int, s *sending, n int, due time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending)+o.writing+size > maxBacklog || o.closed {
		return false
	}
	o.pending = s.append(o.pending, n, due)
	if waiting := int64(len(o.pending) + o.writing); waiting > o.backlog.Load() {
		o.backlog.Store(waiting)
	}
	if !o.running && o.client != nil {
		o.running, o.first = true, due
		o.work.Add(1)
		go o.write()
	}
	return true
}

// run writes until there is nothing.
func (o *outbox) run() {
	defer o.work.Done()
	if o.begun != nil {
		o.begun(o.first) // which nobody changes while this runs
	}
	for {
		out := o.take()
		if len(out) == 0 {
			return
		}
		if err := o.send(out); err != nil {
			o.close() // the client has ended by that
		}
	}
}

// take returns what waits, after what was taken before has been written.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = 0
	out := o.pending
	if len(out) == 0 || o.closed {
		o.running = false
		return nil
	}
	o.pending, o.spare = o.spare[:0], out
	o.writing = len(out)
	return out
}

func (o *outbox) send(frames []byte) error {
	if !o.single {
		return o.client.WriteFrames(frames)
	}
	for len(frames) > 0 {
		n := 4 + (int(binary.BigEndian.Uint16(frames[2:]))+3)&^3 // padded, as over any stream
		if err := o.client.WriteFrames(frames[:n]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// close makes the outbox take nothing more.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// wait waits for the goroutine; the client must have ended, or will.
func (o *outbox) wait() {
	o.close()
	o.work.Wait()
}
