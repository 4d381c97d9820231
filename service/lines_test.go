package service

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a writer that hangs until it is let go.
type stuck struct {
	logBuffer
	entered chan struct{} // gets one for each Write
	let     chan struct{} // closed to let go
}

func newStuck() *stuck { return &stuck{entered: make(chan struct{}, 1), let: make(chan struct{})} }

func (s *stuck) Write(p []byte) (int, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.let
	return s.logBuffer.Write(p)
}

func (*stuck) Close() error { return nil }

func lostCount(n int) []byte { return fmt.Appendf(nil, "lost %d\n", n) }

func TestLinesNeverWait(t *testing.T) {
	w := newStuck()
	l := newLines(w, lostCount, nil)
	fmt.Fprintln(l, "first")
	<-w.entered // the queue is empty, the writer hangs
	const lost, size = 5, 64 << 10
	line := []byte(strings.Repeat("x", size-1) + "\n")
	for range maxQueued/size + lost {
		l.Write(line)
	}
	if got := l.everLost(); got != lost || l.trouble() == nil {
		t.Errorf("%d lines lost, want %d; trouble: %v, want some", got, lost, l.trouble())
	}
	close(w.let)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	got := w.String()
	if n := strings.Count(got, "\n"); n != maxQueued/size+2 {
		t.Errorf("got %d lines, want %d", n, maxQueued/size+2)
	}
	if !strings.HasPrefix(got, "first\nlost 5\nx") {
		t.Errorf("it begins with %q, want the first line and what is lost", got[:20])
	}
	if err := l.trouble(); err != nil {
		t.Errorf("when all is written there is trouble: %v", err)
	}
	fmt.Fprintln(l, "too late")
	if err := l.close(); err != nil || strings.Contains(w.String(), "too late") {
		t.Errorf("second close: %v; a line after the first was written: %v", err, strings.Contains(w.String(), "too late"))
	}
}

func TestLinesGiveUpOnAWriterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuck()
		l := newLines(w, lostLine(true), nil)
		fmt.Fprintln(l, "first")
		synctest.Wait()
		fmt.Fprintln(l, "second")
		if err := l.trouble(); err != nil {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(stuckAfter + time.Second)
		if err := l.trouble(); err == nil || !strings.Contains(err.Error(), "nothing was written for 5s") {
			t.Errorf("after a while: %v, want that nothing is written", err)
		}
		other := newStuck()
		if err := l.changeTo(other); err == nil {
			t.Error("it is changed although the last line was not written")
		}
		if err := l.close(); err == nil || !strings.Contains(err.Error(), "1 lines were not written") {
			t.Errorf("got %v, want that a line was not written", err)
		}
		close(w.let)
		<-l.done
	})
}

// disk is one that may be full: what is written then fails, after its first byte.
type disk struct {
	logBuffer
	mu   sync.Mutex
	full error
}

func (d *disk) fill(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = err
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full != nil {
		n, _ := d.logBuffer.Write(p[:1])
		return n, d.full
	}
	return d.logBuffer.Write(p)
}

func (*disk) Close() error { return nil }

// Of several writes in a row that fail one is told. What is lost is said when there is room, without
// another line to bring it, on a line of its own.
func TestLinesTellOfErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		d, full := new(disk), errors.New("no space left")
		l := newLines(d, lostCount, func(err error) { told = append(told, err) })
		for range 2 {
			fmt.Fprintln(l, "good")
			synctest.Wait()
			d.fill(full)
			for range 3 {
				fmt.Fprintln(l, "bad")
			}
			synctest.Wait()
			if err := l.trouble(); err != full {
				t.Errorf("trouble: %v, want %v", err, full)
			}
			d.fill(nil)
			time.Sleep(2 * tryAgain)
			if err := l.trouble(); err != nil {
				t.Errorf("trouble: %v after it has passed", err)
			}
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if len(told) != 2 || l.everLost() != 6 {
			t.Errorf("told %q of %d lost, want twice, of 6", told, l.everLost())
		}
		for line := range strings.Lines(d.String()) {
			if strings.Trim(line, "bl\n") != "" && line != "good\n" && line != "lost 3\n" {
				t.Errorf("got the line %q, want whole lines but for their torn beginnings", line)
			}
		}
		if got := strings.Count(d.String(), "\nlost 3\n"); got != 2 {
			t.Errorf("got %q, want twice that 3 are lost", d.String())
		}
	})
}
