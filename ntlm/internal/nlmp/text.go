package nlmp

import (
	"encoding/binary"
	"time"
	"unicode/utf16"
)

// UTF16 encodes s as NTLM wants it: UTF-16, little endian, no terminator.
func UTF16(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// String decodes UTF-16, little endian. An odd last byte is dropped, a lone surrogate becomes U+FFFD.
func String(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// epochDelta is the number of FILETIME ticks (100 ns) from 1601 to 1970.
const epochDelta = 116444736000000000

// Filetime encodes a time (MS-DTYP 2.3.3).
func Filetime(t time.Time) []byte {
	ticks := uint64(t.Unix()*1e7+int64(t.Nanosecond())/100) + epochDelta
	return binary.LittleEndian.AppendUint64(nil, ticks)
}

// Time decodes eight bytes of FILETIME.
func Time(b []byte) time.Time {
	ticks := int64(binary.LittleEndian.Uint64(b)) - epochDelta
	return time.Unix(ticks/1e7, ticks%1e7*100).UTC()
}
