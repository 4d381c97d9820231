package service

import (
	"errors"
	"net"
	"sync"
)

// A gate is a listener that can stop accepting before it is closed, so that a server that drains
// gives up its port at once.
type gate struct {
	net.Listener
	stopping sync.Once
	closing  sync.Once
	closed   chan struct{}
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, closed: make(chan struct{})}
}

// Accept waits for Close once it was stopped: the server should not take it for an accident.
func (g *gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		<-g.closed
	}
	return conn, err
}

// stop ends accepting and frees the port.
func (g *gate) stop() (err error) {
	g.stopping.Do(func() { err = g.Listener.Close() })
	return err
}

// Close may be called twice.
func (g *gate) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return g.stop()
}
