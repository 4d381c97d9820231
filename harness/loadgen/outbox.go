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

// behind is how late the pacer may be and still write by itself. Beyond that others help.
const behind = 500 * time.Microsecond

// An outbox writes the frames of one connection, so that a slow one holds up nobody else. The pacer writes
// what the connection takes at once: to start a goroutine for a lone packet takes as long as to write it. Else it
// appends, and a goroutine that lives while there is something writes all that is there at once.
type outbox struct {
	client *turntcp.Client
	single bool                                  // each packet by a write of its own
	write  func()                                // the goroutine, made once
	late   func(due time.Duration) time.Duration // how late it is now
	begun  func(late time.Duration)              // called when a write begins that nothing was before
	work   sync.WaitGroup

	mu      sync.Mutex
	pending []byte
	spare   []byte
	writing int // bytes that are being written
	running bool
	unsent  bool          // the client has a part of a frame
	first   time.Duration // when what it began with was due
	closed  bool

	backlog atomic.Int64 // most bytes that waited, since it was last reset
}

func newOutbox(c *turntcp.Client, single bool, late func(due time.Duration) time.Duration, begun func(late time.Duration)) *outbox {
	o := &outbox{client: c, single: single, late: late, begun: begun}
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
	if !o.running && o.client != nil && !o.writeNow(n, due) {
		o.running, o.first = true, due
		o.work.Add(1)
		go o.write()
	}
	return true
}

// writeNow writes what waits without waiting for anything, if that can be, and reports whether nothing is
// left to do. It is called with mu held.
func (o *outbox) writeNow(n int, due time.Duration) bool {
	late := o.late(due)
	if o.single && n > 1 || late > behind {
		return false
	}
	var taken bool
	if taken, o.unsent = o.client.WriteNow(o.pending); !taken {
		return false
	}
	o.begun(late)
	o.pending = o.pending[:0]
	return !o.unsent
}

// run writes until there is nothing.
func (o *outbox) run() {
	defer o.work.Done()
	if o.unsent { // which, as first, nobody changes while this runs
		o.unsent = false
		_ = o.client.WriteFrames(nil) // an error is that of the next write, too
	} else {
		o.begun(o.late(o.first))
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
