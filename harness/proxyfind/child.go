package proxyfind

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/metrics"
	"sync"
	"time"
)

// ChildCommand is the argument with which this program must call Child.
const ChildCommand = "pac-child"

// Child runs the script of a PAC file: the question comes from in, the answer goes to out. It is the
// whole of a process, which has nothing else to do and no environment: it limits its own CPU time and
// memory before it reads the script, asks its parent for every name (so it needs no network, the
// parent can count, and tests can answer), and ends the process itself when a script that has used up
// its time or memory cannot be interrupted. The parent's deadline is the last resort.
func Child(in io.Reader, out io.Writer) error {
	if err := limitCore(); err != nil {
		return err
	}
	p := &pipe{lines: json.NewDecoder(bufio.NewReader(io.LimitReader(in, maxQuestion))), out: json.NewEncoder(out)}
	if err := limitMemory(headroom); err != nil {
		return err
	}
	if err := limitCPU(maxCPU); err != nil {
		return err
	}
	var q question
	if err := p.lines.Decode(&q); err != nil {
		return fmt.Errorf("no question: %w", err)
	}
	_, offset := q.Now.Zone()
	time.Local = time.FixedZone("", offset) // for the script's dates; there is no other goroutine yet
	s := newScript(world{now: func() time.Time { return q.Now }, lookup: p.lookup, alert: p.alert, addresses: q.Addresses})
	go s.watch(q.Limit, q.Memory, p.last) // ends with the process
	answer, err := s.ask(q.Script, q.URL, q.Host)
	p.last(answer, err)
	return nil
}

const (
	// headroom is the address space a child may take beyond what the Go runtime reserves at its start:
	// heap arenas of 64 MB each, and with cgo a reserve of the C library for each thread.
	headroom = 768 << 20
	// maxCPU is above every Finder's Timeout that makes sense: it is for a child whose parent is gone.
	maxCPU = 30 * time.Second
)

// A pipe is the child's end of the protocol.
type pipe struct {
	mu    sync.Mutex
	lines *json.Decoder
	out   *json.Encoder
	ended bool
}

func (p *pipe) send(m message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errors.New("the last message has been sent")
	}
	p.ended = m.Answer != nil || m.Fault != nil
	return p.out.Encode(m)
}

// last sends how it ended, once.
func (p *pipe) last(answer string, err error) {
	m := message{Answer: &answer}
	var e *Error
	switch {
	case errors.As(err, &e):
		m = message{Fault: &trouble{e.Failure, e.Line, e.Err.Error()}}
	case err != nil:
		m = message{Fault: &trouble{Failure: ScriptError, Text: err.Error()}}
	}
	_ = p.send(m) // a parent that is gone needs no answer
}

func (p *pipe) alert(text string) { _ = p.send(message{Alert: &text}) }

func (p *pipe) lookup(name string) []netip.Addr {
	var r reply
	if p.send(message{Lookup: &name}) != nil || p.lines.Decode(&r) != nil {
		return nil
	}
	return r.Addresses
}

const (
	watchEvery = 5 * time.Millisecond
	// watchGrace is what an interrupted script has to be found at a line; native code, such as a regular
	// expression or the making of one long string, never is.
	watchGrace = 200 * time.Millisecond
)

// watch interrupts the script at its limits, and ends the process where that is not enough.
func (s *script) watch(limit time.Duration, memory int64, last func(string, error)) {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	start, why := time.Now(), error(nil)
	for range time.Tick(watchEvery) {
		metrics.Read(heap)
		switch {
		case int64(heap[0].Value.Uint64()) > memory:
			why = fmt.Errorf("it used more than %d MB of memory", memory>>20)
		case time.Since(start) > limit:
			why = fmt.Errorf("it did not end within %v", limit)
		default:
			continue
		}
		break
	}
	s.interrupt(&Error{Failure: Stopped, Err: why})
	time.Sleep(watchGrace)
	last("", &Error{Failure: Stopped, Err: fmt.Errorf("%w, nor when it was interrupted, as native code does not (a backtracking regular expression, one very long string)", why)})
	os.Exit(1)
}
