package turntcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// stunFrame is a STUN message of the type, with so many bytes of attributes.
func stunFrame(messageType uint16, attributes int) []byte {
	f := binary.BigEndian.AppendUint16(nil, messageType)
	f = binary.BigEndian.AppendUint16(f, uint16(attributes))
	f = binary.BigEndian.AppendUint32(f, magicCookie)
	return append(f, make([]byte, 12+attributes)...)
}

func TestReadFrame(t *testing.T) {
	binding := string(stunFrame(0x0001, 0))
	data := func(n int) string { return string(AppendChannelData(nil, 0x4001, bytes.Repeat([]byte("x"), n))) }
	tests := []struct {
		name    string
		input   string
		want    []string
		err     error // which the error is or wraps; nil for another
		dropped uint64
	}{
		{"nothing", "", nil, io.EOF, 0},
		{"STUN", binding, []string{binding}, io.EOF, 0},
		{"empty ChannelData", data(0), []string{data(0)}, io.EOF, 0},
		{"padded ChannelData", data(1) + data(4), []string{data(1), data(4)}, io.EOF, 0},
		{"both", data(5) + binding + data(100), []string{data(5), binding, data(100)}, io.EOF, 0},
		{"reserved channels of RFC 5766", "\x7f\xff\x00\x00", []string{"\x7f\xff\x00\x00"}, io.EOF, 0},
		{"cut in the header", data(5) + "\x40", []string{data(5)}, io.ErrUnexpectedEOF, 0},
		{"cut in the payload", data(50)[:30], nil, io.ErrUnexpectedEOF, 0},
		{"cut in the padding", data(5)[:9], nil, io.ErrUnexpectedEOF, 0},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", nil, io.ErrUnexpectedEOF, 0}, // G is 0x47: ChannelData of 21536 bytes
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", nil, ErrFrame, 0},
		{"RTP", "\x80\x60\x00\x01", nil, ErrFrame, 0},
		{"DTLS-SRTP range", "\xff\xff\xff\xff", nil, ErrFrame, 0},
		{"STUN of odd length", "\x00\x01\x00\x03" + binding[4:], nil, ErrFrame, 0},
		{"STUN without cookie", "\x00\x01\x00\x00\x21\x12\xa4\x43", nil, ErrFrame, 0},
		{"too large data", data(101) + data(1), []string{data(1)}, io.EOF, 1},
		{"too large indication", string(stunFrame(typeDataIndication, 100)) + binding, []string{binding}, io.EOF, 1},
		{"too large request", string(stunFrame(0x0001, 100)) + binding, nil, nil, 0},
		{"largest data, dropped", data(65535) + binding, []string{binding}, io.EOF, 1},
		{"too large and cut", data(65535)[:70000-10000], nil, io.ErrUnexpectedEOF, 0},
	}
	readers := map[string]func(io.Reader) io.Reader{
		"at once":    func(r io.Reader) io.Reader { return r },
		"byte-wise":  iotest.OneByteReader,
		"with error": iotest.DataErrReader,
	}
	for _, tt := range tests {
		for name, reader := range readers {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				r := NewFrameReader(reader(strings.NewReader(tt.input)), 104)
				var got []string
				var err error
				for err == nil {
					var f Frame
					if f, err = r.ReadFrame(); err == nil {
						got = append(got, string(f))
					}
				}
				if strings.Join(got, "|") != strings.Join(tt.want, "|") {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if tt.err != nil && !errors.Is(err, tt.err) || tt.err == nil && (err == io.EOF || errors.Is(err, ErrFrame)) {
					t.Errorf("got error %v, want %v", err, tt.err)
				}
				if r.Dropped() != tt.dropped {
					t.Errorf("dropped %d, want %d", r.Dropped(), tt.dropped)
				}
			})
		}
	}
}

func TestChannelData(t *testing.T) {
	train := AppendChannelData(nil, 0x4000, []byte("hello"))
	train = AppendChannelData(train, 0x4fff, nil)
	want := "\x40\x00\x00\x05hello\x00\x00\x00" + "\x4f\xff\x00\x00"
	if string(train) != want {
		t.Fatalf("got %q, want %q", train, want)
	}
	f := Frame(train)
	if f.Channel() != 0x4000 || string(f.Payload()) != "hello" {
		t.Errorf("got channel %#x, payload %q", f.Channel(), f.Payload())
	}
}

// A 64 KiB frame that drips in must cost neither memory nor stack per byte.
func TestDripAllocatesNothing(t *testing.T) {
	drip := iotest.OneByteReader(repeat(AppendChannelData(nil, 0x4000, make([]byte, 60000))))
	r := NewFrameReader(drip, 0)
	if n := testing.AllocsPerRun(3, func() {
		if _, err := r.ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// repeat is an endless stream of the same bytes.
func repeat(b []byte) io.Reader { return &repeater{b: b} }

type repeater struct {
	b  []byte
	at int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.b[r.at:])
	r.at = (r.at + n) % len(r.b)
	return n, nil
}

// Whatever comes, the frames do not depend on how it is cut, lie in the stream one after the other,
// and are as large as they say.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x40\x00\xff\xfc\x00\x00\x00\x00\x00")) // nine bytes that made pion spin
	f.Add(stunFrame(0x0001, 0))
	f.Add(append(AppendChannelData(nil, 0x4000, []byte("hello")), stunFrame(0x0016, 40)...))
	f.Add(append(AppendChannelData(nil, 0x4000, make([]byte, 300)), stunFrame(0x0016, 8)...))
	f.Fuzz(func(t *testing.T, input []byte) {
		const size = 256
		whole, err := frames(bytes.NewReader(input), size)
		dripped, err2 := frames(iotest.OneByteReader(bytes.NewReader(input)), size)
		if err.Error() != err2.Error() || len(whole) != len(dripped) {
			t.Fatalf("%d frames and %v at once, %d and %v byte by byte", len(whole), err, len(dripped), err2)
		}
		rest := input
		for i, frame := range whole {
			if !bytes.Equal(frame, dripped[i]) {
				t.Fatalf("frame %d is %x at once, %x byte by byte", i, frame, dripped[i])
			}
			at := bytes.Index(rest, frame)
			if at < 0 || len(frame)%4 != 0 || len(frame) > size {
				t.Fatalf("frame %d of %d bytes is not where it should be: %x", i, len(frame), frame)
			}
			rest = rest[at+len(frame):]
			if frame.IsChannelData() {
				if n := len(frame.Payload()); padded(n)+channelHeader != len(frame) {
					t.Fatalf("payload of %d in a frame of %d", n, len(frame))
				}
			} else {
				frame.wellFormed()
				parseIndication(frame)
			}
		}
	})
}

func frames(r io.Reader, size int) (all []Frame, err error) {
	fr := NewFrameReader(r, size)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return all, err
		}
		all = append(all, bytes.Clone(f))
	}
}
