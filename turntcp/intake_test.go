package turntcp

import (
	"bytes"
	"slices"
	"testing"
)

// An intake has no buffer while it is empty, a larger one while a larger frame is coming, and hands out
// what it was given, however that was cut.
func TestIntake(t *testing.T) {
	small, large := AppendChannelData(nil, 0x4000, []byte("small")), AppendChannelData(nil, 0x4001, make([]byte, 60000))
	stream := slices.Concat(small, large, small, small, large, small)
	for _, piece := range []int{1, 7, 4096, 16000, len(stream)} {
		in := intake{cutter: cutter{limit: MaxFrame}, size: streamBuffer}
		var got []byte
		largest := 0
		for rest := stream; len(rest) > 0; {
			n := copy(in.room(), rest[:min(piece, len(rest))])
			rest, in.end = rest[n:], in.end+n
			for frame, err := in.next(); frame != nil || err != nil; frame, err = in.next() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, frame...)
			}
			largest = max(largest, len(in.buf))
			if in.release(); in.empty() && in.buf != nil {
				t.Fatalf("in pieces of %d: an empty intake holds a buffer of %d", piece, len(in.buf))
			}
		}
		if !bytes.Equal(got, stream) {
			t.Errorf("in pieces of %d: got %d bytes, want those of the stream, %d", piece, len(got), len(stream))
		}
		if in.buf != nil || largest != MaxFrame {
			t.Errorf("in pieces of %d: a buffer of %d at most, %d at the end, want %d and none", piece, largest, len(in.buf), MaxFrame)
		}
	}
}

// A frame beyond the limit is skipped, also by who has little room.
func TestIntakeSkips(t *testing.T) {
	small, large := AppendChannelData(nil, 0x4000, []byte("small")), AppendChannelData(nil, 0x4001, make([]byte, 60000))
	in := intake{cutter: cutter{limit: maxServerFrame}, size: maxServerFrame}
	frames := 0
	for rest := slices.Concat(large, small, large, small); len(rest) > 0; {
		n := copy(in.room(), rest)
		rest, in.end = rest[n:], in.end+n
		for frame, err := in.next(); frame != nil || err != nil; frame, err = in.next() {
			if !bytes.Equal(frame, small) {
				t.Fatalf("got %d bytes, %v", len(frame), err)
			}
			frames++
		}
		if len(in.buf) != maxServerFrame {
			t.Fatalf("a buffer of %d, want %d", len(in.buf), maxServerFrame)
		}
	}
	if frames != 2 || in.dropped.Load() != 2 {
		t.Errorf("got %d frames and dropped %d, want 2 and 2", frames, in.dropped.Load())
	}
}
