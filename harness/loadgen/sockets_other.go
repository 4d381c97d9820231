//go:build !linux

package loadgen

func (*Sockets) look(int) {}
