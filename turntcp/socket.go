package turntcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A socket is a client's connection, below TLS if there is any, whose Write does not wait: what the
// kernel does not take at once is kept, and a goroutine that lasts until it is gone waits in its place.
// So the goroutine that reads a relay writes to the client without waking another, and yet is never
// held up by a client that reads slowly. TLS cannot write without waiting in any other way.
type socket struct {
	net.Conn
	timeout time.Duration // for the client to take anything at all
	spawn   func(func())  // starts a goroutine and accounts for it
	failed  func(error)   // is told why the connection can no longer be written

	// Of the goroutine that reads:
	records  *recordCount // nil without TLS
	fed      bool         // Read does not wait: it takes what is there between feed and stopFeeding, else nothing
	fd       uintptr      // valid then
	readable bool         // there may be more
	received bool         // there was something

	mu       sync.Mutex
	now      nonBlocking
	held     bool   // gather, to write once
	pending  []byte // to be written before anything else
	spare    []byte // the buffer to gather in while pending is being written
	draining bool   // a goroutine writes what was pending
	idle     func() // to be called when nothing is pending any more
	err      error
}

// maxPending in bytes is more than anything that is written while nothing was pending. Beyond it a
// client makes TLS answer (KeyUpdate) and reads no answers.
const maxPending = 256 << 10

func newSocket(nc net.Conn, timeout time.Duration, spawn func(func()), failed func(error)) *socket {
	s := &socket{Conn: nc, timeout: timeout, spawn: spawn, failed: failed}
	s.now.prepare(nc)
	return s
}

// feed lets Read receive, until a short read: what comes after that is an event of its own.
func (s *socket) feed(fd uintptr) { s.fd, s.readable, s.received = fd, true, false }

// stopFeeding ends that, and tells whether anything was received.
func (s *socket) stopFeeding() bool { s.readable = false; return s.received }

// errNothingYet is how Read says that there is nothing, or nothing more. For TLS it must be a net.Error that passes: then
// it can be read again.
var errNothingYet error = nothingYet{}

type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.take(p)
	if s.records != nil {
		s.records.add(p[:n])
	}
	return n, err
}

func (s *socket) take(p []byte) (n int, err error) {
	switch {
	case !s.fed:
		return s.Conn.Read(p)
	case !s.readable:
		return 0, errNothingYet
	}
	n, err = receiveNow(s.fd, p)
	if s.readable = n == len(p); n > 0 {
		s.received = true
	} else if err == nil {
		err = io.EOF
	}
	return n, err
}

// waitAgain lets Read wait.
func (s *socket) waitAgain() { s.fed = false }

// Write takes all of p or fails for good.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if s.err == nil && !s.held && !s.draining {
		n, s.err = s.now.write(p)
	}
	if s.err == nil && len(s.pending)+len(p)-n > maxPending {
		s.err = fmt.Errorf("%d bytes wait to be written", len(s.pending))
	}
	if s.err != nil {
		return 0, s.err
	}
	s.pending = append(s.pending, p[n:]...)
	s.drainLater()
	return len(p), nil
}

// hold makes Write gather until release, which then writes all at once.
func (s *socket) hold() {
	s.mu.Lock()
	s.held = true
	s.mu.Unlock()
}

func (s *socket) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	if s.err != nil || s.draining || len(s.pending) == 0 {
		return s.err
	}
	var n int
	n, s.err = s.now.write(s.pending)
	s.pending = s.pending[:copy(s.pending, s.pending[n:])]
	s.drainLater()
	return s.err
}

// drainLater starts the goroutine that writes what is pending. The caller holds mu.
func (s *socket) drainLater() {
	if len(s.pending) > 0 && !s.draining && !s.held && s.err == nil {
		s.draining = true
		s.spawn(s.drain)
	}
}

// busy tells whether something is pending. If so, idle is called once it has been written, or could
// not be.
func (s *socket) busy(idle func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		s.idle = idle
	}
	return s.draining
}

func (s *socket) drain() {
	for {
		chunk, idle := s.nextPending()
		if chunk == nil {
			if idle != nil {
				idle()
			}
			return
		}
		err := s.writeWaiting(chunk)
		s.mu.Lock()
		s.spare = chunk[:0]
		if err != nil && s.err == nil {
			s.err = err
		}
		s.mu.Unlock()
		if err != nil {
			s.failed(err)
		}
	}
}

// nextPending returns what is pending, or nil and whom to tell that nothing is.
func (s *socket) nextPending() (chunk []byte, idle func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) > 0 && s.err == nil {
		chunk, s.pending, s.spare = s.pending, s.spare[:0], nil
		return chunk, nil
	}
	// A deadline that has passed would fail the next write, although it does not wait.
	_ = s.Conn.SetWriteDeadline(time.Time{})
	s.draining = false
	idle, s.idle = s.idle, nil
	return nil, idle
}

// writeWaiting writes for as long as the client takes something within the time.
func (s *socket) writeWaiting(p []byte) error {
	for len(p) > 0 {
		if err := s.Conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
			return err
		}
		n, err := s.Conn.Write(p[:min(len(p), maxSegment)])
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
		p = p[n:]
	}
	return nil
}
