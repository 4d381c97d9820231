package turntcp

import (
	"fmt"
	"io"
	"sync"
)

// An intake is what has been read of a client and not been handled. It has a buffer only while there is
// something in it: most clients are silent most of the time.
type intake struct {
	cutter
	size int // of the buffer to read into, in bytes
}

// room is where to read to. Frames that were handed out are valid no longer.
func (in *intake) room() []byte {
	switch {
	case in.buf == nil:
		in.buf = borrow(in.size)
	case in.need > len(in.buf):
		small := in.buf
		in.move(borrow(in.need))
		giveBack(small)
	case in.start > 0:
		in.move(in.buf)
	}
	return in.buf[in.end:]
}

func (in *intake) full() bool { return in.end == len(in.buf) }

// release gives the buffer back if nothing is in it.
func (in *intake) release() {
	if in.buf != nil && in.held == 0 && in.empty() {
		giveBack(in.buf)
		in.buf, in.start, in.end = nil, 0, 0
	}
}

// rest is what has been read behind the frame that was handed out last.
func (in *intake) rest() []byte { return in.buf[in.start+in.held : in.end] }

// streamBuffer is the size in bytes of the buffer that a client with an allocation is read into: a
// TLS record, or a train of 13 packets of 1200 bytes. A larger one is borrowed when a larger frame comes.
const streamBuffer = 16 << 10

// Buffers that all connections share.
var (
	smallBuffers  = sync.Pool{New: func() any { return new([maxServerFrame]byte) }}
	streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}
	largeBuffers  = sync.Pool{New: func() any { return new([MaxFrame]byte) }}
)

func borrow(size int) []byte {
	switch {
	case size <= maxServerFrame:
		return smallBuffers.Get().(*[maxServerFrame]byte)[:]
	case size <= streamBuffer:
		return streamBuffers.Get().(*[streamBuffer]byte)[:]
	}
	return largeBuffers.Get().(*[MaxFrame]byte)[:]
}

func giveBack(b []byte) {
	switch len(b) {
	case maxServerFrame:
		smallBuffers.Put((*[maxServerFrame]byte)(b))
	case streamBuffer:
		streamBuffers.Put((*[streamBuffer]byte)(b))
	case MaxFrame:
		largeBuffers.Put((*[MaxFrame]byte)(b))
	}
}

// next relays data until a request comes. Nothing that has come waits for anything that has not.
func (c *conn) next() (Frame, error) {
	for {
		frame, err := c.handle()
		if frame == nil && err == nil {
			frame, err = c.await()
		}
		if frame != nil || err != nil {
			return frame, err
		}
	}
}

// handle relays what has been read, up to a request, which it returns.
func (c *conn) handle() (Frame, error) {
	defer c.up.flush()
	if c.rejected >= maxRejected {
		return nil, because(ClosedRejected, fmt.Errorf("%d credentials rejected", c.rejected))
	}
	for {
		frame, err := c.in.next()
		switch {
		case frame == nil:
			return nil, err
		case frame.IsChannelData(), frame.messageType() == typeSendIndication:
			c.forward(frame)
		case frame.messageType()&classMask != classRequest, !frame.wellFormed():
			// to be discarded silently (RFC 8489 section 6.3)
		case len(frame) > maxServerFrame:
			return nil, because(ClosedBadFrame, fmt.Errorf("request of %d bytes", len(frame)))
		default:
			return frame, nil
		}
	}
}

// await waits for something to be read. It may return nothing.
func (c *conn) await() (Frame, error) {
	if !c.sock.now.canAwait() {
		return nil, c.awaitReading()
	}
	if c.sock.fed {
		// What came with the last request, or with the handshake.
		if frame, err := c.unseal(); frame != nil || err != nil {
			return frame, err
		}
	}
	c.arrived, c.arrivedErr = nil, nil
	if err := c.sock.now.await(c.ready); err != nil {
		return nil, c.in.endedBy(err)
	}
	return c.arrived, c.arrivedErr
}

// awaitReading waits in Read, with a buffer.
func (c *conn) awaitReading() error {
	n, err := c.nc.Read(c.in.room())
	c.in.end += n
	if n > 0 {
		return nil // an error comes again
	}
	return c.in.endedBy(err)
}

// readReady handles all that is there while the system says that there is something. It returns true
// when there is a request, or the end. After a short read it returns false at once: what comes next is
// an event of its own, so asking again would only cost a system call. But an end that has come with
// the data is not told again; the sweep finds it.
func (c *conn) readReady(fd uintptr) bool {
	if c.sock.fed {
		return c.unsealReady(fd)
	}
	for {
		full, err := c.receive(fd)
		if err == errNothingYet {
			break
		}
		if err != nil {
			c.arrivedErr = c.in.endedBy(err)
			return true
		}
		c.arrived, c.arrivedErr = c.handle()
		if c.arrived != nil || c.arrivedErr != nil {
			return true
		}
		if !full {
			c.heard()
			break
		}
	}
	c.in.release()
	return false
}

// receive reads what is there with one system call, and tells whether there may be more.
func (c *conn) receive(fd uintptr) (full bool, err error) {
	into := c.in.room()
	n, err := receiveNow(fd, into)
	if err == nil && n == 0 {
		err = io.EOF
	}
	c.in.end += n
	return n == len(into), err
}

// unsealReady is readReady of TLS, which reads by itself: into its own buffer, without another copy.
func (c *conn) unsealReady(fd uintptr) bool {
	c.sock.feed(fd)
	c.arrived, c.arrivedErr = c.unseal()
	received := c.sock.stopFeeding()
	if c.arrived != nil || c.arrivedErr != nil {
		return true
	}
	if received {
		c.heard()
	}
	c.in.release()
	return false
}

// unseal handles what TLS has read, and what it may read.
func (c *conn) unseal() (Frame, error) {
	for {
		n, err := c.nc.Read(c.in.room())
		c.in.end += n
		if err == nil && !c.in.full() {
			if !c.sock.records.read() || c.sock.readable {
				continue // together with the next record
			}
			err = errNothingYet
		}
		frame, failed := c.handle()
		switch {
		case frame != nil || failed != nil:
			return frame, failed // an error comes again
		case err == errNothingYet:
			c.sock.records.readAll()
			return nil, nil
		case err != nil:
			return nil, c.in.endedBy(err)
		}
	}
}
