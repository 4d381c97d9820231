package krb5

import (
	"encoding/binary"
	"errors"
	"time"
)

var errTruncated = errors.New("the file ends in the middle of an entry")

// A reader takes big-endian fields off a byte slice. After the first field that is not there it
// returns zeros and keeps the error, so that a parser checks once per entry.
type reader struct {
	b   []byte
	err error
}

// take returns the next n bytes; n comes from the file and may be anything.
func (r *reader) take(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.b)) {
		r.err = errTruncated
		r.b = nil
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// time reads seconds since 1970, unsigned as MIT's library does it since 1.16 (until 2106); 0 is no
// time.
func (r *reader) time() time.Time {
	if s := r.u32(); s != 0 {
		return time.Unix(int64(s), 0).UTC()
	}
	return time.Time{}
}

// done tells whether nothing is left to read.
func (r *reader) done() bool { return r.err != nil || len(r.b) == 0 }
