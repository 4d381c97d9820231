package gss

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
)

// Context flags of the initiator (RFC 2744 section 5.19, as numbered in RFC 4121 section 4.1.1.1).
const (
	FlagMutual   uint32 = 2
	FlagReplay   uint32 = 4
	FlagSequence uint32 = 8
	FlagConf     uint32 = 16
	FlagInteg    uint32 = 32
)

// Binding is the Bnd field: the MD5 of the channel bindings (RFC 4121 section 4.1.1.2). Zero is no
// binding.
type Binding [md5.Size]byte

// Bind hashes channel bindings without addresses: application data alone, in the form that RFC 5929
// and RFC 5056 define ("tls-server-end-point:" and a hash). No data is no binding.
func Bind(data []byte) Binding {
	if len(data) == 0 {
		return Binding{}
	}
	// gss_channel_bindings_struct: two address types and two empty addresses, all zero.
	b := binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data)))
	return md5.Sum(append(b, data...))
}

// Checksum is the content of the authenticator's checksum of type 0x8003.
func Checksum(bnd Binding, flags uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(bnd)))
	b = append(b, bnd[:]...)
	return binary.LittleEndian.AppendUint32(b, flags)
}

// ParseChecksum reads it. What follows the flags (delegated credentials, extensions) is ignored.
func ParseChecksum(b []byte) (bnd Binding, flags uint32, err error) {
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != uint32(len(bnd)) {
		return bnd, 0, errors.New("malformed GSS-API checksum in the authenticator")
	}
	return Binding(b[4:20]), binary.LittleEndian.Uint32(b[20:]), nil
}
