//go:build !unix

package turntcp

import "net"

// nonBlocking writes nothing, where there is no way to write without waiting.
type nonBlocking struct{}

func (w *nonBlocking) prepare(net.Conn) {}

func (w *nonBlocking) write([]byte) (int, error) { return 0, nil }
