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
	drained := 0
	r.drained = func() { drained++ }
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// A directory in its place: reads of it fail with ENOTSOCK.
	dir, err := syscall.Open("/", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(dir)
	if err := raw.Control(func(fd uintptr) { err = syscall.Dup3(dir, int(fd), syscall.O_CLOEXEC) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := r.ReadFrom(make([]byte, 10)); err == nil {
		t.Errorf("read %d bytes from a directory", n)
	}
	if drained != 1 {
		t.Errorf("the end was told %d times, want once", drained)
	}
}
