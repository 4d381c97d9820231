package live

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
)

// A Screen shows a run on the whole of a terminal until it is closed.
type Screen struct {
	program *tea.Program
	done    chan struct{}
	once    sync.Once
}

// OpenScreen takes the terminal that in and out are. title says what is run; stop is called when the
// user presses q or ^C, and the run is expected to end then. What cannot be shown is no reason for a
// run to end: an error of the terminal only ends the view.
func OpenScreen(in io.Reader, out io.Writer, title string, stop func()) *Screen {
	s := &Screen{done: make(chan struct{})}
	s.program = tea.NewProgram(&model{state: State{Title: title}, stop: stop}, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithContext(context.Background()))
	go func() {
		defer close(s.done)
		_, _ = s.program.Run()
	}()
	return s
}

// Progress implements Viewer.
func (s *Screen) Progress(l loadtest.Live) { s.program.Send(l) }

// StepDone implements Viewer.
func (s *Screen) StepDone(step measure.Step) { s.program.Send(step) }

// Close gives the terminal back. It may be called twice.
func (s *Screen) Close() {
	s.once.Do(s.program.Quit)
	<-s.done
}

// model is what bubbletea drives.
type model struct {
	state  State
	width  int
	height int
	stop   func()
}

func (m *model) Init() tea.Cmd { return nil }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if key := msg.String(); key == "q" || key == "ctrl+c" {
			if m.state.Stopping {
				return m, tea.Quit // the user is in a hurry: the next ^C is the shell's
			}
			m.state.Stopping = true
			m.stop()
		}
	case loadtest.Live:
		m.state.Progress(msg)
	case measure.Step:
		m.state.StepDone(msg)
	}
	return m, nil
}

func (m *model) View() tea.View {
	v := tea.NewView(m.state.Render(m.width, m.height))
	v.AltScreen = true
	return v
}

// State is what the screen shows. Its zero value has seen nothing.
type State struct {
	Title    string
	Stopping bool
	Live     loadtest.Live
	Done     []measure.Step

	achieved, cpu []float64 // of the last minute
	windows       []bool    // whether all calls were good, of the step's quality windows
	windowSeen    int
}

const history = 60

// Progress takes what is said once a second.
func (s *State) Progress(l loadtest.Live) {
	if l.Number != s.Live.Number {
		s.windows, s.windowSeen = nil, 0
	}
	s.Live = l
	s.achieved = last(append(s.achieved, l.Values["received_pps"]))
	if cpu, known := l.Values["proc.cpu_cores"]; known {
		s.cpu = last(append(s.cpu, cpu+l.Values["proc.helpers_cpu_cores"]))
	}
	if w := l.Snapshot.Window; w > s.windowSeen && l.Snapshot.Judged > 0 {
		s.windowSeen = w
		s.windows = append(s.windows, l.Snapshot.Good == l.Snapshot.Judged)
	}
}

// StepDone takes a step that has ended.
func (s *State) StepDone(step measure.Step) { s.Done = append(s.Done, step) }

func last(list []float64) []float64 { return list[max(0, len(list)-history):] }

// Render is the screen, of so many columns and rows; 0 is 80 by 24. It changes nothing.
func (s *State) Render(width, height int) string {
	if width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := []string{bold(s.Title) + "  " + clock(s.Live.Elapsed), dim(strings.Repeat("─", width))}
	lines = append(lines, s.load()...)
	lines = append(lines, s.proxy(), s.generator())
	if text := failures(s.Live.Snapshot.Failed); text != "" {
		lines = append(lines, row("failed", red(text)))
	}
	lines = append(lines, "")
	foot := dim("q stops and reports")
	if s.Stopping {
		foot = yellow("stopping; what was measured is being written")
	}
	room := height - len(lines) - 2
	var done []string
	for _, step := range s.Done[max(0, len(s.Done)-max(0, room)):] {
		done = append(done, verdict(step, width)...)
	}
	lines = append(lines, done[max(0, len(done)-max(0, room)):]...)
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, foot)
	for i := range lines {
		lines[i] = clip(lines[i], width)
	}
	return strings.Join(lines, "\n")
}

func clock(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
