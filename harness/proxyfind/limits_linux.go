package proxyfind

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// limitCore keeps a crash from writing files.
func limitCore() error {
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// limitMemory limits the address space to what the process has now and more bytes.
func limitMemory(more uint64) error {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	most := pages*uint64(os.Getpagesize()) + more
	return unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most})
}

// limitCPU has the kernel kill the process when it has computed for so long. (Go ignores the signal of
// the soft limit.)
func limitCPU(d time.Duration) error {
	seconds := uint64(d / time.Second)
	return unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds})
}
