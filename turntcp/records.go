package turntcp

import "encoding/binary"

// A recordCount counts the TLS records in what is read of a connection. Reading tls.Conn once more to learn
// that it has nothing left costs an allocation, which this saves: each record of data is one Read.
type recordCount struct {
	header [5]byte // type, version, length (RFC 8446 section 5.1)
	have   int     // of the header, in bytes; 0 at the end of a record
	left   int     // of the record's body, in bytes
	whole  int     // records that tls.Conn may not have looked at
}

func (r *recordCount) add(p []byte) {
	for len(p) > 0 {
		n := 0
		if r.have < len(r.header) {
			n = copy(r.header[r.have:], p)
			if r.have += n; r.have == len(r.header) {
				r.left = int(binary.BigEndian.Uint16(r.header[3:]))
			}
		} else {
			n = min(r.left, len(p))
			r.left -= n
		}
		if p = p[n:]; r.have == len(r.header) && r.left == 0 {
			r.have = 0
			r.whole++
		}
	}
}

// read is told that a Read of tls.Conn returned all that was left of a record. It reports true if that was
// the last one. A record without data is never counted as read, then it takes an empty Read to know.
func (r *recordCount) read() (last bool) {
	r.whole--
	return r.whole == 0 && r.have == 0
}

// readAll is told that tls.Conn has nothing more.
func (r *recordCount) readAll() { r.whole = 0 }
