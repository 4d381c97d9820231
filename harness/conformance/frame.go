package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	stunHeader    = 20
	channelHeader = 4
	magicCookie   = 0x2112A442

	// maxFrame is what the longest length field announces: STUN's header and 65532 bytes, or ChannelData's
	// header, 65535 bytes and their padding.
	maxFrame = stunHeader + 0xFFFF + 1
)

// errFrame is in the chain of every error about bytes that are no frame.
var errFrame = errors.New("neither a STUN message nor ChannelData")

// A frame is one STUN message or ChannelData message as it stood in the stream.
type frame []byte

func (f frame) isChannelData() bool { return f[0]>>6 == 1 }
func (f frame) channel() uint16     { return binary.BigEndian.Uint16(f) }

// payload is that of ChannelData, without the padding.
func (f frame) payload() []byte {
	return f[channelHeader : channelHeader+int(binary.BigEndian.Uint16(f[2:]))]
}

// A frameReader cuts a server's stream into frames and is strict about it: what a server sends is what is being
// tested. After a timeout it goes on where it was, also within a frame.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{bufio.NewReaderSize(r, maxFrame)}
}

// next returns the next frame. The error is io.EOF where the stream ends between two frames, wraps
// io.ErrUnexpectedEOF within one and errFrame where the bytes are none; else it is the reader's.
func (fr *frameReader) next() (frame, error) {
	size, err := fr.announced()
	if err != nil {
		return nil, err
	}
	b, err := fr.peek(size)
	if err != nil {
		return nil, err
	}
	f := frame(slices.Clone(b))
	_, err = fr.r.Discard(size)
	return f, err
}

// announced is the size of the next frame, padding included, as its header says.
func (fr *frameReader) announced() (int, error) {
	head, err := fr.peek(channelHeader)
	if err != nil {
		return 0, err
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch head[0] >> 6 {
	case 1:
		return channelHeader + padded(length), nil
	case 0:
	default:
		return 0, fmt.Errorf("%w: first byte %#02x", errFrame, head[0])
	}
	if length%4 != 0 {
		return 0, fmt.Errorf("%w: STUN length %d is no multiple of 4", errFrame, length)
	}
	if head, err = fr.peek(8); err != nil {
		return 0, err
	}
	if cookie := binary.BigEndian.Uint32(head[4:]); cookie != magicCookie {
		return 0, fmt.Errorf("%w: %#08x where STUN has its magic cookie", errFrame, cookie)
	}
	return stunHeader + length, nil
}

func (fr *frameReader) peek(n int) ([]byte, error) {
	b, err := fr.r.Peek(n)
	if err == io.EOF && len(b) > 0 {
		err = fmt.Errorf("the stream ends after %d bytes of a frame: %w", len(b), io.ErrUnexpectedEOF)
	}
	return b, err
}

func padded(n int) int { return (n + 3) &^ 3 }

// channelData is a ChannelData frame, padded as streams demand (RFC 8656 section 12.5).
func channelData(number uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, payload...)
	return append(b, make([]byte, padded(len(payload))-len(payload))...)
}
