package turntcp

import "sync/atomic"

// A portSet is which ports are in use. Any number of goroutines may ask and change it.
type portSet [1 << 16 / 64]atomic.Uint64

func (s *portSet) has(port uint16) bool { return s[port/64].Load()&(1<<(port%64)) != 0 }

// claim puts the port in, or reports false if it is there already.
func (s *portSet) claim(port uint16) bool {
	bit := uint64(1) << (port % 64)
	return s[port/64].Or(bit)&bit == 0
}

func (s *portSet) release(port uint16) { s[port/64].And(^(uint64(1) << (port % 64))) }
