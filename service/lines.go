package service

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Bounds of a log's queue. A line is well under a kilobyte.
const (
	maxQueued    = 8192            // lines
	flushTimeout = 2 * time.Second // for what is queued, when the service ends or the file is changed
)

// lines writes lines from any number of goroutines, none of which ever waits: a disk that hangs or a
// pipe that nobody reads must not hold up calls. What finds the queue full is lost and counted, and
// the count is written when there is room again.
type lines struct {
	queue    chan entry
	done     chan struct{}
	lostLine func(n int) []byte // renders the count
	failed   func(error)        // told of the first of several writes in a row that fail; may be nil
	failing  bool               // the last one did

	mu     sync.Mutex
	closed bool
	lost   int
}

// An entry is a line, or what the lines behind it go to.
type entry struct {
	line []byte
	to   io.WriteCloser
}

// newLines owns w and a goroutine, which calls failed, until close.
func newLines(w io.WriteCloser, lostLine func(n int) []byte, failed func(error)) *lines {
	l := &lines{queue: make(chan entry, maxQueued), done: make(chan struct{}), lostLine: lostLine, failed: failed}
	go l.run(w)
	return l
}

// Write queues one line; slog's handlers call it once for each. It never fails.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(line), nil
	}
	select {
	case l.queue <- entry{line: append([]byte(nil), line...)}:
	default:
		l.lost++
	}
	return len(line), nil
}

func (l *lines) run(w io.WriteCloser) {
	defer close(l.done)
	for e := range l.queue {
		if e.to != nil {
			l.note(w.Close())
			w = e.to
			continue
		}
		l.writeLost(w)
		_, err := w.Write(e.line)
		l.note(err)
	}
	l.writeLost(w)
	l.note(w.Close())
}

func (l *lines) writeLost(w io.Writer) {
	l.mu.Lock()
	n := l.lost
	l.lost = 0
	l.mu.Unlock()
	if n > 0 {
		_, err := w.Write(l.lostLine(n))
		l.note(err)
	}
}

func (l *lines) note(err error) {
	if err != nil && !l.failing && l.failed != nil {
		l.failed(err)
	}
	l.failing = err != nil
}

// changeTo makes the lines from now on go to w, and closes what they went to. It waits for room in
// the queue, for at most flushTimeout. It must not be called during or after close.
func (l *lines) changeTo(w io.WriteCloser) error {
	t := time.NewTimer(flushTimeout)
	defer t.Stop()
	select {
	case l.queue <- entry{to: w}:
		return nil
	case <-t.C:
		return errors.Join(fmt.Errorf("nothing was written within %v", flushTimeout), w.Close())
	}
}

// close writes what is queued, for at most flushTimeout: a writer that hangs is left behind with
// its goroutine. Lines that come later are dropped.
func (l *lines) close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	t := time.NewTimer(flushTimeout)
	defer t.Stop()
	select {
	case <-l.done:
		return nil
	case <-t.C:
		return fmt.Errorf("%d lines were not written within %v", len(l.queue), flushTimeout)
	}
}
