// Package firstbytes keeps the beginning of what a program says, to tell of it if the program fails.
package firstbytes

import (
	"bytes"
	"sync"
)

// size is how much is kept, in bytes.
const size = 4096

// A Buffer keeps the first 4 KiB that are written to it and takes the rest. The zero Buffer is empty. Any
// number of goroutines may use it.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Write(p[:min(len(p), size-b.b.Len())])
	return len(p), nil
}

// String is what was kept.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
