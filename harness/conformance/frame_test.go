package conformance

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const bindingSuccess = "\x01\x01\x00\x00\x21\x12\xa4\x42transaction."

func TestFrameReader(t *testing.T) {
	tests := []struct {
		name, stream string
		frames       int
		err          error
	}{
		{"nothing", "", 0, io.EOF},
		{"STUN without attributes", bindingSuccess, 1, io.EOF},
		{"ChannelData of length 0", "\x40\x00\x00\x00", 1, io.EOF},
		{"ChannelData with padding", "\x40\x00\x00\x05hello\x00\x00\x00" + bindingSuccess, 2, io.EOF},
		{"ChannelData without its padding", "\x40\x00\x00\x05hello", 0, io.ErrUnexpectedEOF},
		{"the largest ChannelData", "\x4f\xff\xff\xff" + strings.Repeat("x", 0x10000), 1, io.EOF},
		{"the largest STUN message", "\x01\x01\xff\xfc" + bindingSuccess[4:] + strings.Repeat("x", 0xFFFC), 1, io.EOF},
		{"half a header", bindingSuccess[:10], 0, io.ErrUnexpectedEOF},
		{"a length that is no multiple of 4", "\x01\x01\x00\x01" + bindingSuccess[4:] + "x", 0, errFrame},
		{"another cookie", "\x01\x01\x00\x00\x21\x12\xa4\x43transaction.", 0, errFrame},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", 0, io.ErrUnexpectedEOF}, // 'H' begins ChannelData
		{"reserved", "\x80\x00\x00\x00", 0, errFrame},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.stream), iotest.OneByteReader(strings.NewReader(tt.stream))} {
				frames, err := readAll(newFrameReader(r))
				if len(frames) != tt.frames || !errors.Is(err, tt.err) {
					t.Errorf("got %d frames and %v, want %d and %v", len(frames), err, tt.frames, tt.err)
				}
			}
		})
	}
}

func readAll(fr *frameReader) (frames []frame, err error) {
	for {
		f, err := fr.next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

func TestFrameReaderAfterTimeout(t *testing.T) {
	r := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(bindingSuccess)))
	fr := newFrameReader(r)
	if _, err := fr.next(); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatalf("got %v, want a timeout", err)
	}
	if f, err := fr.next(); err != nil || string(f) != bindingSuccess {
		t.Errorf("after the timeout: got %q, %v", f, err)
	}
}

// Whatever a server sends, frames are what the stream holds, and a test can take each of them apart.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(bindingSuccess))
	f.Add([]byte("\x40\x00\x00\x05hello\x00\x00\x00" + bindingSuccess))
	f.Add([]byte("\x01\x13\x00\x08\x21\x12\xa4\x42transaction.\x00\x09\x00\x04\x00\x00\x04\x25"))
	f.Add([]byte("\x01\x03\x00\x04\x21\x12\xa4\x42transaction.\x00\x16\x00\x00"))
	f.Add([]byte("\x00\x17\x00\x0c\x21\x12\xa4\x42transaction.\x00\x12\x00\x08\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		frames, _ := readAll(newFrameReader(bytes.NewReader(stream)))
		rest := stream
		for _, fr := range frames {
			if !bytes.HasPrefix(rest, fr) {
				t.Fatalf("frame %q is not what stands in the stream", fr)
			}
			rest = rest[len(fr):]
			takeApart(fr)
		}
	})
}
