//go:build !linux

package loadtest

import (
	"errors"
	"runtime"
)

// ThisMachine looks at this host; here little of it is known.
func ThisMachine() Machine { return Machine{Cores: runtime.GOMAXPROCS(0)} }

// CoresOf is how much CPU a process may use; here that is not known.
func CoresOf(int) (float64, error) {
	return 0, errors.New("what CPU other processes may use is known on Linux only")
}

// DescriptorsOf is how many descriptors a process may have and how many it has; here that is not known.
func DescriptorsOf(int) (limit, used int, err error) {
	return 0, 0, errors.New("descriptors of other processes can be counted on Linux only")
}
