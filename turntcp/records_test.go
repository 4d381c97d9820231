package turntcp

import (
	"slices"
	"testing"
)

func TestRecordCount(t *testing.T) {
	record := func(size int) []byte {
		return append([]byte{23, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
	}
	stream := slices.Concat(record(0), record(1), record(5), record(16640), record(300))
	for _, piece := range []int{1, 2, 5, 6, 1000, len(stream)} {
		var r recordCount
		for part := range slices.Chunk(stream, piece) {
			r.add(part)
		}
		for i := range 5 {
			if last := r.read(); last != (i == 4) {
				t.Errorf("in pieces of %d: after %d of 5 records it says %v", piece, i+1, last)
			}
		}
		r.add(record(10)[:7])
		if r.add(record(10)[:3]); r.read() {
			t.Errorf("in pieces of %d: the last one, within a record", piece)
		}
	}
}
