package turntcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// A FrameReader cuts a stream into frames without copying. It reads as much as its buffer holds per
// system call and needs no other memory, however the bytes drip in. One goroutine may use it, but
// for Dropped, which any may call.
type FrameReader struct {
	r          io.Reader
	err        error // of the last read, told when all before it has been
	buf        []byte
	start, end int // what has been read and not been discarded
	held       int // size of the frame handed out last
	limit      int // of a frame; the buffer grows to it when one of that size comes
	dropped    atomic.Uint64
}

// NewFrameReader returns a FrameReader with a buffer of the given size in bytes, which is also the
// largest frame it hands out. Default (0) is MaxFrame, least is 64.
func NewFrameReader(r io.Reader, size int) *FrameReader {
	if size == 0 {
		size = MaxFrame
	}
	size = max(size, 64)
	return &FrameReader{r: r, buf: make([]byte, size), limit: size}
}

// resize makes the buffer at least size bytes and lets it grow to limit, for a frame that needs it.
// The frame handed out last is valid no longer.
func (f *FrameReader) resize(size, limit int) {
	f.limit = max(limit, len(f.buf))
	if size > len(f.buf) {
		f.move(make([]byte, size))
	}
}

func (f *FrameReader) move(to []byte) {
	f.end = copy(to, f.buf[f.start:f.end])
	f.buf, f.start = to, 0
}

// Dropped counts the frames that were skipped because they are larger than the buffer.
func (f *FrameReader) Dropped() uint64 { return f.dropped.Load() }

// ready tells whether the next frame is here already, so that ReadFrame will neither wait nor move
// the frames that it has handed out.
func (f *FrameReader) ready() bool {
	b := f.buf[f.start+f.held : f.end]
	if len(b) < channelHeader {
		return false
	}
	return Frame(b).size() <= len(b)
}

// ReadFrame returns the next frame, valid until the next call. Frames of data that are larger than
// the buffer are skipped, as a network drops what exceeds its MTU; a request or response of that
// size is an error, because somebody waits for it.
//
// The error is io.EOF if the stream ends between two frames, io.ErrUnexpectedEOF if it ends within
// one, wraps ErrFrame if the bytes are no frame, else it is the reader's.
func (f *FrameReader) ReadFrame() (Frame, error) {
	f.start += f.held
	f.held = 0
	for {
		size, err := f.announced()
		if err != nil {
			return nil, err
		}
		if size <= f.limit {
			frame, err := f.peek(size)
			if err == nil {
				f.held = size
			}
			return frame, err
		}
		if err := f.skip(size); err != nil {
			return nil, err
		}
	}
}

// announced returns the size of the next frame, padding included, as its header says. It judges by
// the fewest bytes, so that garbage is refused as soon as it can be told.
func (f *FrameReader) announced() (int, error) {
	head, err := f.peek(channelHeader)
	if err != nil {
		return 0, err
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch head[0] >> 6 {
	case 0:
		if length%4 != 0 {
			return 0, fmt.Errorf("%w: STUN length %d is no multiple of 4", ErrFrame, length)
		}
		if head, err = f.peek(8); err != nil {
			return 0, err
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

// peek waits for n bytes, at most limit. An end of the stream is a clean one only where no byte of a
// frame has come.
func (f *FrameReader) peek(n int) (Frame, error) {
	for f.end-f.start < n {
		if n > len(f.buf) {
			f.move(make([]byte, f.limit))
		}
		if err := f.fill(); err != nil {
			if err == io.EOF && f.end > f.start {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return f.buf[f.start : f.start+n], nil
}

// maxEmptyReads in a row are taken for a reader that is broken.
const maxEmptyReads = 100

// fill reads once, behind what is there. There must be room.
func (f *FrameReader) fill() error {
	if f.err != nil {
		return f.err
	}
	if f.start > 0 {
		f.move(f.buf)
	}
	for range maxEmptyReads {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		f.err = err
		switch {
		case n > 0:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

var errTooLarge = errors.New("STUN message too large")

func (f *FrameReader) skip(size int) error {
	head, err := f.peek(channelHeader)
	if err != nil {
		return err
	}
	if !head.IsChannelData() && head.messageType()&classMask != classIndication {
		return fmt.Errorf("%w: %d bytes, more than the %d that fit", errTooLarge, size, f.limit)
	}
	for size > 0 {
		here := min(size, f.end-f.start)
		f.start += here
		size -= here
		if size == 0 {
			break
		}
		if err := f.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	f.dropped.Add(1)
	return nil
}
