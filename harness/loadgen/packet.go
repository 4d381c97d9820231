package loadgen

import (
	"encoding/binary"
	"time"
)

// headerSize is what each packet begins with, in bytes.
const headerSize = 32

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
	binary.BigEndian.PutUint32(b, p.run)
	binary.BigEndian.PutUint32(b[4:], p.call)
	b[8], b[9], b[10], b[11] = p.stream, p.part, p.parts, 0
	binary.BigEndian.PutUint32(b[12:], p.frame)
	binary.BigEndian.PutUint32(b[16:], p.seq)
	binary.BigEndian.PutUint64(b[20:], uint64(p.due))
	binary.BigEndian.PutUint32(b[28:], p.life)
}

// parsePacket reads a header; false: it is none of this run.
func parsePacket(b []byte, run uint32) (p packet, ok bool) {
	if len(b) < headerSize || binary.BigEndian.Uint32(b) != run {
		return p, false
	}
	return packet{
		run: run, call: binary.BigEndian.Uint32(b[4:]), stream: b[8], part: b[9], parts: b[10],
		frame: binary.BigEndian.Uint32(b[12:]), seq: binary.BigEndian.Uint32(b[16:]),
		due: time.Duration(binary.BigEndian.Uint64(b[20:])), life: binary.BigEndian.Uint32(b[28:]),
	}, true
}
