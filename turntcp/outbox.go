package turntcp

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// maxReplies in bytes of STUN responses wait for a client. Beyond it the client asks without end and
// reads no answers.
const maxReplies = 64 << 10

// An outbox is the only way to write to a client. Whoever has something writes it himself if nobody
// does, else leaves it to the one who does; so nobody is woken for it, frames never interleave, and
// what came meanwhile goes out together. While the connection takes nothing more, data is queued for a
// bounded time, before TLS has sealed it; responses are never dropped, and go first.
type outbox struct {
	nc     net.Conn
	sock   *socket // below it
	secure bool    // nc is TLS
	joins  bool    // a TLS record may have several frames
	resume func()  // made once

	mu      sync.Mutex
	writing bool // somebody is; or the socket will call resume
	err     error
	replies []byte
	data    queue

	segment []byte // of who is writing
}

func newOutbox(nc net.Conn, sock *socket, maxAge time.Duration) *outbox {
	o := &outbox{nc: nc, sock: sock, secure: nc != net.Conn(sock)}
	o.data.maxAge = maxAge
	o.resume = func() {
		if next := o.next(); len(next) > 0 {
			_ = o.pump(next) // the connection's end is told to whoever sends next
		}
	}
	return o
}

// send takes the frames of a burst, or fails for good. It does not wait for the client.
func (o *outbox) send(b burst) error {
	o.mu.Lock()
	if o.err != nil || o.writing {
		err := o.keep(b)
		o.mu.Unlock()
		return err
	}
	o.writing = true
	o.mu.Unlock()
	err := o.pump(b.frames)
	if err == nil {
		b.sent()
	}
	return err
}

// keep queues a burst. The caller holds mu.
func (o *outbox) keep(b burst) error {
	switch {
	case o.err != nil:
	case b.counts != nil:
		o.data.add(b, time.Now())
	case len(o.replies)+len(b.frames) > maxReplies:
		o.err = fmt.Errorf("%d bytes of responses are unread", len(o.replies))
	default:
		o.replies = append(o.replies, b.frames...)
	}
	return o.err
}

// pump writes the frames and what has come meanwhile, until there is nothing more or the connection
// takes no more.
func (o *outbox) pump(frames []byte) error {
	for len(frames) > 0 {
		if err := o.write(frames); err != nil {
			o.mu.Lock()
			o.err = err
			o.mu.Unlock()
			return err
		}
		if o.sock.busy(o.resume) {
			return nil
		}
		frames = o.next()
	}
	return nil
}

// next is what to write next, valid until the next call. If it is nothing, whoever sends next writes.
func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.segment = append(o.segment[:0], o.replies...)
	o.replies = o.replies[:0]
	if !o.data.empty() {
		o.segment = o.data.take(o.segment, time.Now())
	}
	o.writing = len(o.segment) > 0
	return o.segment
}

// write writes frames with one system call.
func (o *outbox) write(frames []byte) error {
	if !o.secure {
		_, err := o.nc.Write(frames)
		return err
	}
	o.sock.hold()
	var err error
	for len(frames) > 0 && err == nil {
		n := o.record(frames)
		_, err = o.nc.Write(frames[:n])
		frames = frames[n:]
	}
	if released := o.sock.release(); err == nil {
		err = released
	}
	return err
}

// maxRecord in bytes of frames are in one TLS record, four packets of video: nothing of a record can be read before its last
// byte is there, which is 40 ms at 1 Mbit/s. More would save little CPU.
const maxRecord = 5 << 10

// record is how much of the frames the next TLS record has.
func (o *outbox) record(frames []byte) int {
	n := Frame(frames).size()
	for o.joins && n < len(frames) {
		more := Frame(frames[n:]).size()
		if n+more > maxRecord {
			break
		}
		n += more
	}
	return n
}
