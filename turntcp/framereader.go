package turntcp

import "io"

// A FrameReader cuts a stream into frames without copying. It reads as much as its buffer holds per
// system call and needs no other memory, however the bytes drip in. One goroutine may use it, but
// for Dropped, which any may call.
type FrameReader struct {
	cutter
	r   io.Reader
	err error // of the last read, told when all before it has been
}

// NewFrameReader returns a FrameReader with a buffer of the given size in bytes, which is also the
// largest frame it hands out. Default (0) is MaxFrame, least is 64.
func NewFrameReader(r io.Reader, size int) *FrameReader {
	if size == 0 {
		size = MaxFrame
	}
	size = max(size, 64)
	return &FrameReader{r: r, cutter: cutter{buf: make([]byte, size), limit: size}}
}

// Dropped counts the frames that were skipped because they are larger than the buffer.
func (f *FrameReader) Dropped() uint64 { return f.dropped.Load() }

// ReadFrame returns the next frame, valid until the next call. Frames of data that are larger than
// the buffer are skipped, as a network drops what exceeds its MTU; a request or response of that
// size is an error, because somebody waits for it.
//
// The error is io.EOF if the stream ends between two frames, io.ErrUnexpectedEOF if it ends within
// one, wraps ErrFrame if the bytes are no frame, else it is the reader's.
func (f *FrameReader) ReadFrame() (Frame, error) {
	for {
		frame, err := f.next()
		if frame != nil || err != nil {
			return frame, err
		}
		if err := f.fill(); err != nil {
			return nil, f.endedBy(err)
		}
	}
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
