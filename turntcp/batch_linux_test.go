package turntcp

import (
	"syscall"
	"testing"
)

// A socket that fails for good ends its relay, instead of a loop.
func TestRelayReadErrors(t *testing.T) {
	rs := newRelays([]RelayAddr{{Local: loopback}}, PortRange{20000, 60000}, nil)
	r, _, err := rs.open(wish{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	broke := 0
	r.broke = func(error) { broke++ }
	// A directory in its place: reads of it fail with ENOTSOCK.
	dir, err := syscall.Open("/", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(dir)
	if err := syscall.Dup3(dir, r.fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for reads := 1; ; reads++ {
		messages, more := r.readSome()
		if messages != 0 {
			t.Errorf("read %d messages from a directory", messages)
		}
		if !more {
			if reads != maxReadErrors {
				t.Errorf("it was given up after %d reads, want %d", reads, maxReadErrors)
			}
			break
		}
	}
	if broke != 1 {
		t.Errorf("that it broke was told %d times, want once", broke)
	}
}
