package turntcp

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// size is that of the frame as its header says, padding included.
func (f Frame) size() int {
	length := int(binary.BigEndian.Uint16(f[2:]))
	if f.IsChannelData() {
		return channelHeader + padded(length)
	}
	return stunHeader + length
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

// The class bits of a STUN message type (RFC 8489 section 5).
const (
	classMask       = 0x0110
	classRequest    = 0x0000
	classIndication = 0x0010
	classSuccess    = 0x0100
	classError      = 0x0110
)
