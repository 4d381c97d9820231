package turntcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// A cutter finds the frames in what has been read of a stream. It does not read.
type cutter struct {
	buf        []byte
	start, end int // what has been read and not been discarded
	held       int // size of the frame handed out last
	need       int // bytes that the next frame takes, as far as that is known
	limit      int // of a frame
	skipping   int // bytes to come of a frame that is larger
	dropped    atomic.Uint64
}

var errTooLarge = errors.New("STUN message too large")

// next returns the next frame, valid until the next call, or nil if not all of it has been read. Frames
// of data that are larger than the limit are skipped; a request or response of that size is an error.
func (c *cutter) next() (Frame, error) {
	c.start += c.held
	c.held, c.need = 0, 0
	for c.skipped() {
		size, err := announced(c.buf[c.start:c.end])
		switch {
		case err != nil:
			return nil, err
		case size > c.limit:
			if err := c.skip(size); err != nil {
				return nil, err
			}
			continue
		case size == 0, size > c.end-c.start:
			c.need = size
			return nil, nil
		}
		c.held = size
		return c.buf[c.start : c.start+size], nil
	}
	return nil, nil
}

// announced returns the size of the frame that begins here, padding included, as its header says, or 0
// if more of that must be read. It judges by the fewest bytes, so that garbage is refused as soon as it
// can be told.
func announced(head []byte) (int, error) {
	if len(head) < channelHeader {
		return 0, nil
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch head[0] >> 6 {
	case 0:
		if length%4 != 0 {
			return 0, fmt.Errorf("%w: STUN length %d is no multiple of 4", ErrFrame, length)
		}
		if len(head) < 8 {
			return 0, nil
		}
		if cookie := binary.BigEndian.Uint32(head[4:]); cookie != magicCookie {
			return 0, fmt.Errorf("%w: %#08x where STUN has its magic cookie", ErrFrame, cookie)
		}
		return stunHeader + length, nil
	case 1:
		return channelHeader + padded(length), nil
	}
	return 0, fmt.Errorf("%w: first byte %#02x", ErrFrame, head[0])
}

func (c *cutter) skip(size int) error {
	head := Frame(c.buf[c.start:c.end])
	if !head.IsChannelData() && head.messageType()&classMask != classIndication {
		return fmt.Errorf("%w: %d bytes, more than the %d that fit", errTooLarge, size, c.limit)
	}
	c.skipping = size
	return nil
}

// skipped discards what is to be skipped, and reports false while more of that is to come.
func (c *cutter) skipped() bool {
	if c.skipping == 0 {
		return true
	}
	n := min(c.skipping, c.end-c.start)
	c.start += n
	if c.skipping -= n; c.skipping == 0 {
		c.dropped.Add(1)
	}
	return c.skipping == 0
}

// move makes room behind what is there. The frame handed out last is valid no longer.
func (c *cutter) move(to []byte) {
	c.end = copy(to, c.buf[c.start:c.end])
	c.buf, c.start = to, 0
}

func (c *cutter) empty() bool { return c.start == c.end }

// endedBy is the error that a stream ends with. It is a clean end only where no byte of a frame has come.
func (c *cutter) endedBy(err error) error {
	if err == io.EOF && (!c.empty() || c.skipping > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}
