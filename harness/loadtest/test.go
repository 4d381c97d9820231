package loadtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// A Test is a load on one way. Proxied, Direct, TURN and Profile must be set.
type Test struct {
	Command string // "load" or "size", for the record
	Version string // of turngate
	Note    string // what the figures depend on, in words

	Warnings []string // of Preflight, for the record

	Proxied loadgen.Dial // the way under test
	Direct  loadgen.Dial // the far ends' way, and the baseline's
	TURN    TURN
	Path    measure.Path

	// Peer, if it is set, is an echo peer that the TURN server relays to: calls have one end here, and
	// delays are half of the round trip.
	Peer netip.AddrPort

	Profile    loadgen.Profile
	Objectives []measure.Objective
	Seed       uint64
	Window     time.Duration // of quality. Default 15 s

	// Baseline is how long the direct baseline is measured before the load. Default is a third of the
	// first step, 5 to 30 s.
	Baseline time.Duration
	// NoBaseline leaves it out; what the proxy adds is not known then. With a Peer nothing needs Direct.
	NoBaseline bool

	// These are loadgen.Config's.
	MaxLateness time.Duration // default 2 ms
	Part        loadgen.Part
	Pacers      int
	Single      bool

	// Loads makes what offers the calls, on the way under test or the direct one. Default is Generator.
	Loads func(direct bool) (Load, error)
	// Special makes what offers calls of another profile on the way under test, for some of Size's steps.
	// Default is Generator.
	Special func(loadgen.Profile) (Load, error)

	// AnyMachine lets steps fail, and baselines stand, also while this machine stood still or others took
	// its CPU: for tests, which run beside others.
	AnyMachine bool

	// AbortOnFail ends the run at the first step that breaks an objective.
	AbortOnFail bool

	Web *Web // traffic beside the calls; nil is none

	Watches []Watch // what is looked at once a second besides

	// Died waits until something has ended that the run cannot go on without, and says what; it returns
	// nil when its context ends. It may be nil.
	Died func(context.Context) error

	Progress func(Live)         // called once a second; may be nil
	StepDone func(measure.Step) // called after each step; may be nil

	// Checkpoint is given the record so far, marked partial, from a goroutine of its own while the run
	// goes on; may be nil. It must not keep the record's histograms.
	Checkpoint      func(measure.Record)
	CheckpointEvery time.Duration // default 10 s
}

// A Load offers calls: a loadgen.Generator, or several in processes of their own.
type Load interface {
	Run(context.Context, loadgen.Step) (measure.Step, error)
	Snapshot() loadgen.Snapshot
	SoFar() (measure.Step, bool) // what the step that is being measured has counted
	Epoch() time.Time
	Close() error
}

// A Watch reads figures of something, once a second by one goroutine; rates are its own business. An
// error is kept as something that could not be known.
type Watch interface {
	Sample(ctx context.Context) (map[string]float64, error)
}

// Live is how it goes.
type Live struct {
	Number   int // of the step, from 1
	Step     string
	Direct   bool
	Calls    int
	Duration time.Duration // of the step's measurement
	InStep   time.Duration // since the step began, its set-up included
	Elapsed  time.Duration // of the run
	Snapshot loadgen.Snapshot
	Values   map[string]float64 // of the watches

	// Delay is of all packets of the step so far; nil where the calls are other processes'.
	Delay func() *measure.Latency

	began time.Time
}

// A run is one execution of a Test.
type run struct {
	*Test
	record  measure.Record
	start   time.Time
	direct  Load
	proxied Load
	dialed  time.Duration // what the first tunnel took
	machine Watch         // of who takes this machine's CPU
	rows    *rows
	keeper  *keeper

	ctx      context.Context // of the run; ends with a death, too
	end      context.CancelCauseFunc
	watching sync.WaitGroup // for deaths

	mu      sync.Mutex // of record, while the keeper looks
	current *current   // what is being measured; nil between steps
}

// current is a step that is being measured, and what it will be judged by.
type current struct {
	load       Load
	baseline   *measure.Step
	objectives []measure.Objective
}

// Load runs the steps and judges them. If ctx ends, the record is partial: it holds what was measured.
// An error says that nothing could be: the ways do not work, or the credentials were rejected.
func (t *Test) Load(ctx context.Context, steps []loadgen.Step) (measure.Record, error) {
	if len(steps) == 0 {
		return measure.Record{}, errors.New("loadtest: no step")
	}
	r, err := t.begin(ctx)
	if err != nil {
		return r.record, err
	}
	defer r.close()
	err = r.load(r.ctx, steps)
	r.finish(r.ctx)
	if err != nil {
		r.record.Reasons = append(r.record.Reasons, err.Error())
	}
	return r.record, err
}

func (t *Test) begin(ctx context.Context) (*run, error) {
	if t.Peer.IsValid() {
		t.Profile = t.Profile.Echoed()
	}
	r := &run{Test: t, start: time.Now()}
	r.record = measure.Record{
		Format: 1, Command: cmp.Or(t.Command, "load"), Run: strings.ToLower(rand.Text()[:12]), Seed: t.Seed, Started: r.start,
		Conditions: t.conditions(), Path: t.Path, Profile: t.Profile.Record(), Objectives: t.objectives(), Steps: []measure.Step{},
		Verdict: measure.Void, Warnings: t.Warnings,
	}
	r.record.Path.Direction = measure.OneWay
	if t.Peer.IsValid() {
		r.record.Path.Direction, r.record.Path.Peer = measure.HalfRoundTrip, t.Peer.String()
	}
	if t.Part != (loadgen.Part{}) {
		r.record.Part = t.Part.String()
	}
	loads := t.Loads
	if loads == nil {
		loads = t.generatorLoad
	}
	var errs [2]error
	r.direct, errs[0] = loads(true)
	r.proxied, errs[1] = loads(false)
	if err := errors.Join(errs[:]...); err != nil {
		r.close()
		return r, err
	}
	if err := r.tryOut(ctx); err != nil {
		r.close()
		return r, err
	}
	var unknown string
	if !r.AnyMachine {
		r.machine, unknown = r.watchOthers(ctx)
	}
	r.rows = startRows(r)
	r.doubts()
	if unknown != "" {
		r.rows.cannot(unknown)
	}
	if r.Checkpoint != nil {
		r.keeper = startKeeper(r)
	}
	r.ctx, r.end = context.WithCancelCause(ctx)
	r.mourn(r.ctx, r.end)
	return r, nil
}

func (t *Test) generatorLoad(direct bool) (Load, error) {
	g, err := t.Generator(direct)
	if err != nil {
		return nil, err // and no interface that holds nil
	}
	return g, nil
}

func (t *Test) special(p loadgen.Profile) (Load, error) {
	if t.Special != nil {
		return t.Special(p)
	}
	own := *t
	own.Profile = p
	return own.generatorLoad(false)
}

// Generator makes a generator of this process for the way under test or the direct one.
func (t *Test) Generator(direct bool) (*loadgen.Generator, error) {
	near := t.Proxied
	if direct {
		near = t.Direct
	}
	return loadgen.New(loadgen.Config{
		Profile: t.Profile, Seed: t.Seed, Near: near, Far: t.Direct, User: t.TURN.User, Password: t.TURN.Password,
		Peer: t.Peer, Window: t.Window, MaxLateness: t.MaxLateness, Cause: Cause, Fatal: Rejected, Refused: Refused, Part: t.Part, Pacers: t.Pacers, Single: t.Single,
	})
}

func (r *run) close() {
	if r.end != nil {
		r.end(nil)
		r.watching.Wait()
	}
	for _, g := range []Load{r.direct, r.proxied} {
		if g != nil {
			g.Close()
		}
	}
	if r.rows != nil {
		r.rows.close()
	}
	r.keeper.close()
}

// load runs the baseline and the steps.
func (r *run) load(ctx context.Context, steps []loadgen.Step) error {
	baseline, err := r.baseline(ctx, steps[0])
	if err != nil {
		return quiet(ctx, err)
	}
	for _, s := range steps {
		got, err := r.step(ctx, s, baseline)
		if err != nil {
			return quiet(ctx, err)
		}
		if r.AbortOnFail && got.Verdict == measure.Fail {
			break
		}
	}
	return nil
}

// quiet is nil for the end of the context: the record says that it is partial.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// again is added to the name of a baseline's second try.
const again = ", again"

// baseline measures the same calls without the proxy. A profile without media has nothing to compare.
func (r *run) baseline(ctx context.Context, s loadgen.Step) (*measure.Step, error) {
	if len(r.Profile.Streams) == 0 || r.NoBaseline {
		return nil, nil
	}
	length := r.Baseline
	if length <= 0 {
		length = min(30*time.Second, max(5*time.Second, s.Duration/3))
	}
	baseline := loadgen.Step{Name: fmt.Sprintf("direct, %d calls", s.Calls), Kind: "baseline", Direct: true, Calls: s.Calls, Duration: length}
	got, err := r.measure(ctx, r.direct, baseline, nil)
	if err == nil && got.Verdict == measure.Void { // without it nothing can be compared
		baseline.Name += again
		got, err = r.measure(ctx, r.direct, baseline, nil)
	}
	if err != nil {
		return nil, err
	}
	_, err = r.direct.Run(ctx, loadgen.Step{}) // its calls end
	return &got, err
}

// step measures one step through the proxy.
func (r *run) step(ctx context.Context, s loadgen.Step, baseline *measure.Step) (measure.Step, error) {
	if s.Name == "" {
		s.Name = fmt.Sprintf("%d calls", s.Calls)
	}
	s.Kind = cmp.Or(s.Kind, "load")
	return r.measure(ctx, r.proxied, s, baseline)
}

func (r *run) measure(ctx context.Context, g Load, s loadgen.Step, baseline *measure.Step) (measure.Step, error) {
	r.rows.now(s, g)
	r.change(func() { r.current = &current{g, baseline, slices.Clone(r.Objectives)} })
	web := r.Web
	if s.Direct {
		web = nil
	}
	stop := web.start(ctx)
	got, err := g.Run(ctx, s)
	got.Start += g.Epoch().Sub(r.start).Seconds()
	judge(&got, baseline, r.Objectives)
	stop(&got)
	r.rows.summarise(&got)
	if !r.AnyMachine {
		excuse(&got, r.Objectives, r.record.Conditions.CPUs)
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrServerDied) {
		got.Verdict, got.Reasons = measure.Void, []string{cause.Error()} // whatever failed: it was not the proxy's doing
	}
	r.change(func() {
		r.current = nil
		if got.Seconds > 0 {
			r.record.Steps = append(r.record.Steps, got)
		}
	})
	if got.Seconds > 0 && r.StepDone != nil {
		r.StepDone(got)
	}
	return got, err
}

func (r *run) finish(ctx context.Context) {
	r.seal(ctx)
	overall(&r.record)
	r.interrupted(ctx)
}

// seal puts what was seen beside the steps into the record.
func (r *run) seal(ctx context.Context) {
	r.keeper.close() // what comes after it is the whole
	r.record.Partial = ctx.Err() != nil
	r.record.Seconds = time.Since(r.start).Seconds()
	r.record.Rows, r.record.Unknown = r.rows.take()
}

func (r *run) interrupted(ctx context.Context) {
	if !r.record.Partial {
		return
	}
	cause := context.Cause(ctx)
	if dead := (death{}); errors.As(cause, &dead) {
		r.record.Reasons = slices.Insert(r.record.Reasons, 0, dead.Error())
		return
	}
	r.record.Reasons = append(r.record.Reasons, "the run was interrupted: "+cause.Error())
}

func (t *Test) conditions() measure.Conditions {
	return measure.Conditions{
		Version: t.Version, Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, Kernel: measure.Kernel(),
		CPU: measure.CPUModel(), CPUs: runtime.NumCPU(), Load: measure.LoadAverage(), Note: t.Note,
	}
}
