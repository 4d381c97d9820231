package service

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// stuck is a writer that hangs until it is let go.
type stuck struct {
	logBuffer
	entered chan struct{} // gets one for each Write
	let     chan struct{} // closed to let go
}

func (s *stuck) Write(p []byte) (int, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.let
	return s.logBuffer.Write(p)
}

func (*stuck) Close() error { return nil }

func TestLinesNeverWait(t *testing.T) {
	w := &stuck{entered: make(chan struct{}, 1), let: make(chan struct{})}
	l := newLines(w, func(n int) []byte { return fmt.Appendf(nil, "lost %d\n", n) }, nil)
	fmt.Fprintln(l, "first")
	<-w.entered // the queue is empty, the writer hangs
	const lost = 5
	for i := range maxQueued + lost {
		fmt.Fprintln(l, "line", i)
	}
	close(w.let)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	got := w.String()
	if n := strings.Count(got, "\n"); n != maxQueued+2 {
		t.Errorf("got %d lines, want %d", n, maxQueued+2)
	}
	if want := fmt.Sprintf("lost %d\n", lost); !strings.Contains(got, want) {
		t.Errorf("no %q", want)
	}
	if last := fmt.Sprintf("line %d\n", maxQueued-1); !strings.HasSuffix(got, last) {
		t.Errorf("the last line is not %q", last)
	}
	fmt.Fprintln(l, "too late")
	if err := l.close(); err != nil || strings.Contains(w.String(), "too late") {
		t.Errorf("second close: %v; a line after the first was written: %v", err, strings.Contains(w.String(), "too late"))
	}
}

func TestLinesGiveUpOnAWriterThatHangs(t *testing.T) {
	w := &stuck{entered: make(chan struct{}, 1), let: make(chan struct{})}
	l := newLines(w, lostLine(true), nil)
	fmt.Fprintln(l, "first")
	<-w.entered
	fmt.Fprintln(l, "second")
	if err := l.close(); err == nil || !strings.Contains(err.Error(), "1 lines were not written") {
		t.Errorf("got %v, want that a line was not written", err)
	}
	close(w.let)
	<-l.done
}

// full is a disk that is full for the lines that end in !.
type full struct{ errs error }

func (f full) Write(p []byte) (int, error) {
	if strings.HasSuffix(string(p), "!\n") {
		return 0, f.errs
	}
	return len(p), nil
}
func (full) Close() error { return nil }

// Of several writes in a row that fail one is told.
func TestLinesTellOfErrors(t *testing.T) {
	var told []error
	l := newLines(full{errors.New("no space left")}, lostLine(false), func(err error) { told = append(told, err) })
	for _, line := range []string{"a", "b!", "c!", "d", "e!"} {
		fmt.Fprintln(l, line)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if len(told) != 2 {
		t.Errorf("told %q, want twice", told)
	}
}
