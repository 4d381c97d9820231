package turntcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	stunHeader    = 20
	channelHeader = 4
	magicCookie   = 0x2112A442

	// MaxFrame is the size in bytes of the largest frame a stream can announce: a STUN header and
	// 65532 bytes of attributes.
	MaxFrame = stunHeader + 65532
)

// ErrFrame is in the chain of every error about bytes that are no frame. The stream cannot be read
// any further, because nothing says where the next frame begins.
var ErrFrame = errors.New("neither STUN nor ChannelData")

// A Frame is one STUN message or ChannelData message as it stands in the stream, header and padding
// included (RFC 8656 sections 12.4 and 12.5).
type Frame []byte

// IsChannelData tells ChannelData from STUN by the first two bits (RFC 8656 section 12).
func (f Frame) IsChannelData() bool { return f[0]>>6 == 1 }

// Channel is the channel number of a ChannelData frame.
func (f Frame) Channel() uint16 { return binary.BigEndian.Uint16(f) }

// Payload is what a ChannelData frame carries, without the padding. It may be empty.
func (f Frame) Payload() []byte {
	return f[channelHeader : channelHeader+int(binary.BigEndian.Uint16(f[2:]))]
}

// messageType is the type of a STUN frame, method and class in one (RFC 8489 section 5).
func (f Frame) messageType() uint16 { return binary.BigEndian.Uint16(f) }

// AppendChannelData appends a ChannelData frame to dst and returns the extended slice, padded to
// four bytes as streams demand (RFC 8656 section 12.5). A load generator appends a whole train and
// writes it at once. It panics if payload is longer than 65535 bytes, which no datagram is.
func AppendChannelData(dst []byte, channel uint16, payload []byte) []byte {
	if len(payload) > 0xFFFF {
		panic(fmt.Sprintf("turntcp: ChannelData of %d bytes", len(payload)))
	}
	dst = binary.BigEndian.AppendUint16(dst, channel)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	dst = append(dst, payload...)
	return appendPadding(dst, len(payload))
}

func appendPadding(dst []byte, length int) []byte {
	return append(dst, "\x00\x00\x00"[:padded(length)-length]...)
}

func padded(n int) int { return (n + 3) &^ 3 }

// A FrameReader cuts a stream into frames without copying. It reads as much as its buffer holds per
// system call and needs no other memory, however the bytes drip in. One goroutine may use it, but
// for Dropped, which any may call.
type FrameReader struct {
	r       *bufio.Reader
	held    int // size of the frame handed out last
	dropped atomic.Uint64
}

// NewFrameReader returns a FrameReader with a buffer of the given size in bytes, which is also the
// largest frame it hands out. Default (0) is MaxFrame, least is 64.
func NewFrameReader(r io.Reader, size int) *FrameReader {
	if size == 0 {
		size = MaxFrame
	}
	return &FrameReader{r: bufio.NewReaderSize(r, max(size, 64))}
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
	if _, err := f.r.Discard(f.held); err != nil {
		return nil, err
	}
	f.held = 0
	for {
		size, err := f.announced()
		if err != nil {
			return nil, err
		}
		if size <= f.r.Size() {
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

// peek waits for n bytes. An end of the stream is a clean one only where no byte of a frame has come.
func (f *FrameReader) peek(n int) (Frame, error) {
	b, err := f.r.Peek(n)
	if err == io.EOF && len(b) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (f *FrameReader) skip(size int) error {
	head, err := f.peek(channelHeader)
	if err != nil {
		return err
	}
	if !head.IsChannelData() && head.messageType()&classMask != classIndication {
		return fmt.Errorf("STUN message of %d bytes, more than the %d that fit", size, f.r.Size())
	}
	if _, err := f.r.Discard(size); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	f.dropped.Add(1)
	return nil
}

// The class bits of a STUN message type (RFC 8489 section 5).
const (
	classMask       = 0x0110
	classRequest    = 0x0000
	classIndication = 0x0010
	classSuccess    = 0x0100
	classError      = 0x0110
)
