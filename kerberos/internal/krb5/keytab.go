package krb5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Keytab holds keys of principals (MIT krb5 documentation, "Keytab file format", version 2).
type Keytab []KeytabEntry

// A KeytabEntry is one key of one principal.
type KeytabEntry struct {
	Name  Name
	Realm string
	Time  time.Time
	KVNO  uint32
	Key   Key
}

// ParseKeytab reads a keytab. Its errors never quote the file.
func ParseKeytab(b []byte) (Keytab, error) {
	if len(b) < 2 || b[0] != 5 {
		return nil, errors.New("not a keytab: it does not begin with the bytes 05 02")
	}
	if b[1] != 2 {
		return nil, fmt.Errorf("keytab of version %d, want 2", b[1])
	}
	var kt Keytab
	for r := (&reader{b: b[2:]}); len(r.b) >= 4; {
		size := int32(r.u32())
		if size == 0 {
			break // the end, where the file was made larger than it is full
		}
		if size < 0 { // a hole where an entry was removed
			r.take(uint32(-int64(size)))
			continue
		}
		entry := &reader{b: r.take(uint32(size))}
		e := parseKeytabEntry(entry)
		if r.err != nil || entry.err != nil {
			return nil, fmt.Errorf("keytab entry %d: %w", len(kt)+1, errTruncated)
		}
		kt = append(kt, e)
	}
	return kt, nil
}

func parseKeytabEntry(r *reader) (e KeytabEntry) {
	parts := int(r.u16())
	e.Realm = string(r.take(uint32(r.u16())))
	for range parts {
		if r.err != nil {
			return e
		}
		e.Name.Parts = append(e.Name.Parts, string(r.take(uint32(r.u16()))))
	}
	e.Name.Type = int32(r.u32())
	e.Time = r.time()
	e.KVNO = uint32(r.u8())
	e.Key.Etype = int32(int16(r.u16()))
	e.Key.Value = r.take(uint32(r.u16()))
	if len(r.b) >= 4 {
		if kvno := r.u32(); kvno != 0 { // the 8 bits above are too few for it
			e.KVNO = kvno
		}
	}
	return e
}

// Marshal encodes the keytab.
func (kt Keytab) Marshal() ([]byte, error) {
	be := binary.BigEndian
	out := []byte{5, 2}
	for _, e := range kt {
		var b []byte
		b = be.AppendUint16(b, uint16(len(e.Name.Parts)))
		for _, s := range append([]string{e.Realm}, e.Name.Parts...) {
			if len(s) > math.MaxUint16 {
				return nil, errors.New("a principal's name is too long for a keytab")
			}
			b = be.AppendUint16(b, uint16(len(s)))
			b = append(b, s...)
		}
		b = be.AppendUint32(b, uint32(e.Name.Type))
		b = be.AppendUint32(b, uint32(e.Time.Unix()))
		b = append(b, byte(e.KVNO))
		b = be.AppendUint16(b, uint16(e.Key.Etype))
		b = be.AppendUint16(b, uint16(len(e.Key.Value)))
		b = append(b, e.Key.Value...)
		b = be.AppendUint32(b, e.KVNO)
		out = be.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out, nil
}

// Find returns the key of a principal with the given encryption type; with kvno 0 the newest. ok is
// false when there is none.
func (kt Keytab) Find(n Name, realm string, kvno uint32, etype int32) (found KeytabEntry, ok bool) {
	for _, e := range kt {
		switch {
		case e.Key.Etype != etype, e.Realm != realm, !e.Name.Equal(n), kvno != 0 && e.KVNO != kvno:
		case !ok, e.KVNO > found.KVNO, e.KVNO == found.KVNO && e.Time.After(found.Time):
			found, ok = e, true
		}
	}
	return found, ok
}

// Holds tells whether the keytab has any key of a principal.
func (kt Keytab) Holds(n Name, realm string) bool {
	for _, e := range kt {
		if e.Realm == realm && e.Name.Equal(n) {
			return true
		}
	}
	return false
}
