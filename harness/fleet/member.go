package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/internal/firstbytes"
)

const closeTimeout = 15 * time.Second

// A member is one process.
type member struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr firstbytes.Buffer

	ready    chan struct{} // the calls of the step are up
	finished chan struct{} // there is something in steps
	steps    chan answer
	gone     chan struct{} // the process has ended

	mu       sync.Mutex
	orders   *json.Encoder
	snapshot loadgen.Snapshot
	soFar    *measure.Step // of the step under way
	err      error         // how it ended
}

func startMember(name string, args []string, spec any) (*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &member{name: name, cmd: exec.Command(program, args...), ready: make(chan struct{}, 1), finished: make(chan struct{}, 1),
		steps: make(chan answer, 1), gone: make(chan struct{})}
	m.cmd.Stderr = &m.stderr
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("generator process %s: %w", name, err)
	}
	m.orders = json.NewEncoder(m.stdin)
	go m.listen(stdout)
	if err := m.orders.Encode(spec); err != nil {
		m.close()
		return nil, m.lostError()
	}
	return m, nil
}

// listen takes what the member says until it ends.
func (m *member) listen(stdout io.Reader) {
	defer close(m.gone)
	from := json.NewDecoder(stdout)
	for {
		var a answer
		if err := from.Decode(&a); err != nil {
			if err != io.EOF {
				m.kill() // it does not speak our language
			}
			break
		}
		switch {
		case a.Ready:
			put(m.ready, struct{}{})
		case a.Snapshot != nil:
			m.mu.Lock()
			m.snapshot = *a.Snapshot
			m.mu.Unlock()
		case a.SoFar != nil:
			m.mu.Lock()
			m.soFar = a.SoFar
			m.mu.Unlock()
		case a.Step != nil:
			put(m.steps, a)
			put(m.finished, struct{}{})
		}
	}
	err := m.cmd.Wait()
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
}

// put never waits: each step has one of each.
func put[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// order sends an order; what is left of the step before is forgotten when a new one begins. A member
// that cannot be reached has gone, or will be.
func (m *member) order(o order) {
	if o.Step != nil {
		for _, c := range []chan struct{}{m.ready, m.finished} {
			select {
			case <-c:
			default:
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.Step != nil {
		m.soFar = nil
	}
	if m.orders.Encode(o) != nil {
		m.kill()
	}
}

func (m *member) lastSnapshot() loadgen.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot
}

func (m *member) lastSoFar() *measure.Step {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.soFar
}

// lostError says how a member ended; it has, or is being closed.
func (m *member) lostError() error {
	<-m.gone
	m.mu.Lock()
	defer m.mu.Unlock()
	how := errors.New("it ended by itself")
	if m.err != nil {
		how = m.err
	}
	text := strings.TrimSpace(m.stderr.String())
	if text == "" {
		return fmt.Errorf("generator process %s was lost: %w", m.name, how)
	}
	return fmt.Errorf("generator process %s was lost: %w: %s", m.name, how, text)
}

func (m *member) kill() { _ = m.cmd.Process.Kill() } // it may have ended

// close ends the member and waits for it.
func (m *member) close() error {
	m.stdin.Close()
	select {
	case <-m.gone:
	case <-time.After(closeTimeout):
		m.kill()
		<-m.gone
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}
