package turntcp

import (
	"net"
	"syscall"
	"testing"
)

// What is written without waiting arrives whole and in order with what is written by waiting, also where
// the connection takes a part of a frame only.
func TestWriteNow(t *testing.T) {
	far, near := tcpPair(t)
	raw, err := near.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.(*net.TCPConn).SetReadBuffer(8 << 10)
	_ = near.(*net.TCPConn).SetWriteBuffer(8 << 10)
	c := NewClient(near, ClientConfig{Socket: raw})
	defer c.Close()
	const size = 60000 // more than the buffers take
	frame := func(n int) []byte { return AppendChannelData(nil, uint16(firstChannel+n), make([]byte, size)) }
	sent := 0
	for unsent := false; !unsent; sent++ { // the peer does not read yet
		taken, rest := c.WriteNow(frame(sent))
		if !taken || sent > 4000 {
			t.Fatalf("frame %d: taken %v, unsent %v; want that one is taken in part", sent, taken, rest)
		}
		unsent = rest
	}
	if taken, rest := c.WriteNow(frame(sent)); taken || !rest {
		t.Errorf("after a part: taken %v, unsent %v; want that the rest goes first", taken, rest)
	}
	done := make(chan error, 1)
	go func() {
		err := c.WriteFrames(nil) // the rest
		if err == nil {
			err = c.WriteFrames(frame(sent))
		}
		done <- err
	}()
	frames := NewFrameReader(far, 0)
	for n := range sent + 1 {
		f, err := frames.ReadFrame()
		if err != nil || int(f.Channel()) != firstChannel+n || len(f.Payload()) != size {
			t.Fatalf("frame %d: %v, channel %#x, %d bytes", n, err, f.Channel(), len(f.Payload()))
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	without := NewClient(far, ClientConfig{})
	defer without.Close()
	if taken, _ := without.WriteNow(frame(0)); taken {
		t.Error("taken without a socket")
	}
}
