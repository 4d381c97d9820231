//go:build !unix

package turntcp

import "net"

// nonBlocking reads and writes nothing, where there is no way to do so without waiting.
type nonBlocking struct{}

func (w *nonBlocking) prepare(net.Conn) {}

func (w *nonBlocking) write([]byte) (int, error) { return 0, nil }

func (w *nonBlocking) canAwait() bool { return false }

func (w *nonBlocking) await(func(uintptr) bool) error { return errNothingYet }

func (w *nonBlocking) peek() error { return errNothingYet }

func receiveNow(uintptr, []byte) (int, error) { return 0, errNothingYet }
