package service

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Bounds of a log's queue.
const (
	maxQueued    = 16 << 20        // bytes of lines
	flushTimeout = 2 * time.Second // for what is queued, when the service ends
	stuckAfter   = 5 * time.Second // a write that lasts longer is trouble
	tryAgain     = time.Second     // to say what was lost, while nothing else is written
)

// lines writes lines from any number of goroutines, none of which ever waits: a disk that hangs or a
// pipe that nobody reads must not hold up calls. What finds the queue full or cannot be written is lost
// and counted, and the count is written as soon as something can be.
type lines struct {
	wake     chan struct{}
	done     chan struct{}
	lostLine func(n int) []byte // renders the count
	failed   func(error)        // told of the first of several writes in a row that fail; may be nil

	mu       sync.Mutex
	queue    []entry
	size     int // of what is queued, in bytes
	closed   bool
	lost     int       // and not told in the log yet
	lostEver uint64    // told or not
	failing  error     // of the last write; nil if it did not fail
	since    time.Time // when the write that is under way began; zero for none

	torn bool // of the goroutine that writes: a line was cut off
}

// An entry is a line, or what the lines behind it go to.
type entry struct {
	line []byte
	to   io.WriteCloser
}

// newLines owns w and a goroutine, which calls failed, until close.
func newLines(w io.WriteCloser, lostLine func(n int) []byte, failed func(error)) *lines {
	l := &lines{wake: make(chan struct{}, 1), done: make(chan struct{}), lostLine: lostLine, failed: failed}
	go l.run(w)
	return l
}

// Write queues one line; slog's handlers call it once for each. It never fails.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case l.size+len(line) > maxQueued:
		l.lose(1)
	default:
		l.put(entry{line: append([]byte(nil), line...)})
	}
	return len(line), nil
}

// put queues an entry. The caller holds mu.
func (l *lines) put(e entry) {
	l.queue = append(l.queue, e)
	l.size += len(e.line)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lose counts lines that are lost. The caller holds mu.
func (l *lines) lose(n int) {
	l.lost += n
	l.lostEver += uint64(n)
}

func (l *lines) run(w io.WriteCloser) {
	defer close(l.done)
	for {
		l.writeLost(w)
		e, more := l.next()
		switch {
		case !more:
			l.writeLost(w)
			l.note(w.Close())
			return
		case e.to != nil:
			l.note(w.Close())
			w, l.torn = e.to, false
		case e.line != nil:
			if l.write(w, e.line) != nil {
				l.mu.Lock()
				l.lose(1)
				l.mu.Unlock()
			}
		}
	}
}

// next waits for an entry, which is empty when it is time to say again what was lost. There are no more
// after close.
func (l *lines) next() (e entry, more bool) {
	for {
		l.mu.Lock()
		if len(l.queue) > 0 {
			e = l.queue[0]
			l.queue[0] = entry{}
			l.queue = l.queue[1:]
			l.size -= len(e.line)
			l.mu.Unlock()
			return e, true
		}
		l.queue = nil // it may have been large
		closed, lost := l.closed, l.lost
		l.mu.Unlock()
		if closed {
			return e, false
		}
		var again <-chan time.Time
		if lost > 0 {
			again = time.After(tryAgain)
		}
		select {
		case <-l.wake:
		case <-again:
			return e, true
		}
	}
}

func (l *lines) writeLost(w io.Writer) {
	l.mu.Lock()
	n := l.lost
	l.mu.Unlock()
	if n > 0 && l.write(w, l.lostLine(n)) == nil {
		l.mu.Lock()
		l.lost -= n
		l.mu.Unlock()
	}
}

// write writes a line, and a new one before it if the last was cut off.
func (l *lines) write(w io.Writer, line []byte) error {
	if l.torn {
		line = append([]byte("\n"), line...)
	}
	l.mu.Lock()
	l.since = time.Now()
	l.mu.Unlock()
	n, err := w.Write(line)
	if n > 0 {
		l.torn = n < len(line)
	}
	l.note(err)
	return err
}

// note is told of every result of writing.
func (l *lines) note(err error) {
	l.mu.Lock()
	first := err != nil && l.failing == nil
	l.failing, l.since = err, time.Time{}
	l.mu.Unlock()
	if first && l.failed != nil {
		l.failed(err)
	}
}

// trouble says why the next line may be lost, or that some were which nothing tells of yet; nil if all
// is well.
func (l *lines) trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failing != nil:
		return l.failing
	case l.isStuck():
		return fmt.Errorf("nothing was written for %v", stuckAfter)
	case l.lost > 0:
		return fmt.Errorf("%d records were lost", l.lost)
	}
	return nil
}

// isStuck tells whether a write lasts too long. The caller holds mu.
func (l *lines) isStuck() bool { return !l.since.IsZero() && time.Since(l.since) > stuckAfter }

// everLost counts the lines that were lost.
func (l *lines) everLost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lostEver
}

// changeTo makes the lines from now on go to w, and closes what they went to. It fails while nothing can
// be written there. It must not be called during or after close.
func (l *lines) changeTo(w io.WriteCloser) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isStuck() {
		return errors.Join(fmt.Errorf("nothing was written for %v", stuckAfter), w.Close())
	}
	l.put(entry{to: w})
	return nil
}

// close writes what is queued, for at most flushTimeout: a writer that hangs is left behind with
// its goroutine. Lines that come later are dropped.
func (l *lines) close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	t := time.NewTimer(flushTimeout)
	defer t.Stop()
	select {
	case <-l.done:
		return nil
	case <-t.C:
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%d lines were not written within %v", len(l.queue), flushTimeout)
	}
}
