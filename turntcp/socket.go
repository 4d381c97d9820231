package turntcp

import (
	"errors"
	"fmt"
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

	// Of the goroutine that reads: Read does not wait but takes what was read already.
	fed      bool
	records  *recordCount // nil without TLS
	read     []byte       // of TLS, and not consumed
	borrowed []byte       // where it lies

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

// feed lets Read take what was read into a borrowed buffer. There must be nothing left of the last.
func (s *socket) feed(buf []byte, n int) {
	if n == 0 {
		giveBack(buf)
		return
	}
	s.borrowed, s.read = buf, buf[:n]
	s.records.add(s.read)
}

// errNothingYet is how Read says that all has been consumed. For TLS it must be a net.Error that passes: then
// it can be read again.
var errNothingYet error = nothingYet{}

type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

func (s *socket) Read(p []byte) (int, error) {
	if s.borrowed == nil {
		if s.fed {
			return 0, errNothingYet
		}
		n, err := s.Conn.Read(p)
		if s.records != nil { // the handshake
			s.records.add(p[:n])
		}
		return n, err
	}
	n := copy(p, s.read)
	if s.read = s.read[n:]; len(s.read) == 0 {
		giveBack(s.borrowed)
		s.borrowed = nil
	}
	return n, nil
}

// waitAgain ends the feeding: Read waits when all has been consumed.
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
