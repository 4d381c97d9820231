// Package nlmp is the wire format and the arithmetic of NTLM that both of its ends need: messages'
// fields, AV pairs, NTLMv2 keys, the MIC and signatures (MS-NLMP). It has no state and does no I/O.
package nlmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Signature begins every NTLM message (MS-NLMP 2.2.1).
const Signature = "NTLMSSP\x00"

// The types of message (MS-NLMP 2.2.1).
const (
	Negotiate    = 1
	Challenge    = 2
	Authenticate = 3
)

// MaxMessage bounds a message from outside, in bytes. Real ones stay under 2 kB; it also keeps
// every length of a message we build within the 16 bits of its field.
const MaxMessage = 16 << 10

// Offsets of the fields of an AUTHENTICATE message (MS-NLMP 2.2.1.3).
const (
	OffsetLM          = 12
	OffsetNT          = 20
	OffsetDomain      = 28
	OffsetUser        = 36
	OffsetWorkstation = 44
	OffsetSessionKey  = 52
	OffsetFlags       = 60
	OffsetVersion     = 64
	OffsetMIC         = 72
	AuthenticateLen   = 88 // header with Version and MIC
)

// Type returns the type of a message after checking its signature and size.
func Type(msg []byte) (uint32, error) {
	switch {
	case len(msg) > MaxMessage:
		return 0, fmt.Errorf("NTLM message of %d bytes, limit %d", len(msg), MaxMessage)
	case len(msg) < 12:
		return 0, fmt.Errorf("NTLM message of %d bytes is too short for a header", len(msg))
	case string(msg[:8]) != Signature:
		return 0, errors.New("no NTLM message: it does not begin with NTLMSSP")
	}
	return binary.LittleEndian.Uint32(msg[8:]), nil
}

// Field returns the payload that the field header at off describes: length, maximal length,
// offset (MS-NLMP 2.2.1). A field of length 0 may have any offset.
func Field(msg []byte, off int) ([]byte, error) {
	if len(msg) < off+8 {
		return nil, fmt.Errorf("message of %d bytes ends before the field at %d", len(msg), off)
	}
	length := uint64(binary.LittleEndian.Uint16(msg[off:]))
	start := uint64(binary.LittleEndian.Uint32(msg[off+4:]))
	if length == 0 {
		return nil, nil
	}
	if start+length > uint64(len(msg)) {
		return nil, fmt.Errorf("field at %d says bytes %d to %d of a message of %d bytes", off, start, start+length, len(msg))
	}
	return msg[start : start+length], nil
}

// AppendFieldHeader appends the header of a field of length bytes at offset. The caller keeps both
// within MaxMessage.
func AppendFieldHeader(b []byte, length, offset int) []byte {
	if length > math.MaxUint16 {
		panic("nlmp: field longer than 65535 bytes")
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(length))
	b = binary.LittleEndian.AppendUint16(b, uint16(length))
	return binary.LittleEndian.AppendUint32(b, uint32(offset))
}
