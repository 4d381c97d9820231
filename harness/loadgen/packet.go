package loadgen

import (
	"encoding/binary"
	"time"
)

// headerSize is what each packet begins with, in bytes.
const headerSize = 36

// Each packet begins with a mark, by which an echo peer knows it: it answers what has the first one, and
// its answers have the second, so that nobody answers an answer. A peer that sends back what it gets
// (RFC 862) leaves the first. 0x90 is the beginning of RTP, which is let through where media is.
const (
	sentMark   = 0x90_74_67_01
	echoedMark = 0x90_74_67_02
)

// A packet is the header of one packet.
type packet struct {
	run    uint32        // a random number of the generator, so that strangers' packets are not counted
	call   uint32        // number of the call
	life   uint32        // how often the call was opened: churn replaces it by one of the same number
	stream uint8         // index in the profile
	part   uint8         // of its frame
	parts  uint8         // of its frame
	frame  uint32        // number
	seq    uint32        // of the stream, modulo 2^32
	due    time.Duration // since the generator's epoch
}

func (p *packet) put(b []byte) {
	binary.BigEndian.PutUint32(b, sentMark)
	binary.BigEndian.PutUint32(b[4:], p.run)
	binary.BigEndian.PutUint32(b[8:], p.call)
	b[12], b[13], b[14], b[15] = p.stream, p.part, p.parts, 0
	binary.BigEndian.PutUint32(b[16:], p.frame)
	binary.BigEndian.PutUint32(b[20:], p.seq)
	binary.BigEndian.PutUint64(b[24:], uint64(p.due))
	binary.BigEndian.PutUint32(b[32:], p.life)
}

// parsePacket reads a header; false: it is none of this run.
func parsePacket(b []byte, run uint32) (p packet, ok bool) {
	if len(b) < headerSize || binary.BigEndian.Uint32(b[4:]) != run {
		return p, false
	}
	if mark := binary.BigEndian.Uint32(b); mark != sentMark && mark != echoedMark {
		return p, false
	}
	return packet{
		run: run, call: binary.BigEndian.Uint32(b[8:]), stream: b[12], part: b[13], parts: b[14],
		frame: binary.BigEndian.Uint32(b[16:]), seq: binary.BigEndian.Uint32(b[20:]),
		due: time.Duration(binary.BigEndian.Uint64(b[24:])), life: binary.BigEndian.Uint32(b[32:]),
	}, true
}
