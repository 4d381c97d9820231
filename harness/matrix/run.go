package matrix

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/proxyconnect"
)

// A Matrix is a run over cells, one after the other, so that they do not disturb each other's
// figures. The zero value of each field but Cells is usable.
type Matrix struct {
	Lab      string
	Version  string // of turngate, for the report
	Note     string // what the figures depend on, in words
	Cells    []Cell
	Duration time.Duration // of measuring per cell. Default 600 ms

	// Real says that the accounts are real ones: the first rejected credential ends the run.
	Real bool

	// Progress is called after each cell.
	Progress func(done, all int, c report.Cell)
}

// Run runs the cells. It returns what it has when the context ends, marked partial.
func (m *Matrix) Run(ctx context.Context) report.Run {
	start := time.Now()
	r := report.Run{Format: 1, Started: start, Lab: m.Lab, Partial: false, Condition: m.condition(), Cells: []report.Cell{}}
	baselines := make(map[string]report.Cell)
	budget := new(proxyconnect.Budget)
	for i := range m.Cells {
		cell := m.Cells[i]
		var got report.Cell
		switch {
		case ctx.Err() != nil:
			r.Partial = true
		case m.Real && budget.Spent() > 0:
			got = skipped(&cell, "not run: a credential was rejected, and another attempt might lock the account")
		default:
			got = m.runCell(ctx, cell, budget)
		}
		if r.Partial || ctx.Err() != nil { // a cell that was cut off says nothing
			r.Partial = true
			break
		}
		if cell.Proxy == "" && got.Figures != nil {
			baselines[cell.TURN.transport()] = got
		}
		got.Beside = beside(got, baselines[cell.TURN.transport()])
		r.Cells = append(r.Cells, got)
		if m.Progress != nil {
			m.Progress(i+1, len(m.Cells), got)
		}
	}
	r.Seconds = time.Since(start).Seconds()
	r.Verdict, r.Reason = r.Judge()
	return r
}

func (m *Matrix) duration() time.Duration {
	if m.Duration <= 0 {
		return 600 * time.Millisecond
	}
	return m.Duration
}

func (m *Matrix) condition() report.Condition {
	return report.Condition{
		Version: m.Version, Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Load: measure.LoadAverage(), Duration: m.duration().String(), Note: m.Note,
	}
}

func skipped(c *Cell, why string) report.Cell {
	return report.Cell{Name: c.Name, Outcome: report.Skip, Expected: c.Expect, Detail: why, Started: time.Now()}
}

// runCell runs one cell and judges it.
func (m *Matrix) runCell(ctx context.Context, c Cell, shared *proxyconnect.Budget) (got report.Cell) {
	got = report.Cell{Name: c.Name, Expected: c.Expect, Started: time.Now()}
	defer func() { got.Seconds = time.Since(got.Started).Seconds() }()
	if c.Prepare != nil {
		release, err := c.Prepare(ctx, &c)
		if err != nil {
			got.Outcome, got.Detail = report.Void, "the cell could not be set up: "+err.Error()
			return got
		}
		defer release()
	}
	if c.Diagnose != nil {
		c.diagnose(ctx, &got)
		return got
	}
	budget := new(proxyconnect.Budget)
	if m.Real {
		budget = shared
	}
	var checks []Check
	for _, begin := range c.Begin {
		checks = append(checks, begin())
	}
	err := m.try(ctx, &c, budget, &got)
	got.Got = classify(err)
	got.Outcome = report.Pass
	if err != nil {
		got.Detail = err.Error()
	}
	if got.Got != c.Expect {
		got.Outcome, got.Hint = report.Fail, Hint(err)
	}
	runChecks(ctx, checks, &got)
	return got
}

const checkTimeout = 10 * time.Second

func runChecks(ctx context.Context, checks []Check, got *report.Cell) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, check := range checks {
		name, found, ok := check(ctx)
		got.Checks = append(got.Checks, report.Check{Name: name, OK: ok, Found: found})
		if !ok {
			got.Outcome = report.Fail
		}
	}
}

// try sets up the call and measures it.
func (m *Matrix) try(ctx context.Context, c *Cell, budget *proxyconnect.Budget, got *report.Cell) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	setup, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	call, err := c.call(setup, budget, got)
	if err != nil {
		return err
	}
	defer call.close()
	if !c.Measure {
		return nil
	}
	// A hung tunnel shows in the waits of measure; this bounds a slow one.
	ctx, cancelMeasure := context.WithTimeout(ctx, m.duration()+timeout)
	defer cancelMeasure()
	figures, err := call.measure(ctx, m.duration())
	got.Figures = &figures
	return err
}

// call opens both ends and the channels between them.
func (c *Cell) call(ctx context.Context, budget *proxyconnect.Budget, got *report.Cell) (*call, error) {
	dial, err := c.dialer(budget)
	if err != nil {
		return nil, &proxyconnect.ConnectError{Stage: proxyconnect.StageConfig, Proxy: c.Proxy, Target: c.TURN.Address, Err: err}
	}
	k := &call{nearIn: new(receiver), farIn: new(receiver)}
	near, err := open(ctx, dial, c.TURN, k.nearIn.onData)
	got.Tunnel = &near.tunnel
	if err != nil {
		return nil, err
	}
	k.near = near
	if c.TURN.FarDirect {
		dial = direct
	}
	far, err := open(ctx, dial, c.TURN, k.farIn.onData)
	if err != nil {
		near.client.Close()
		return nil, fmt.Errorf("the far end, after the near one stood: %w", err)
	}
	k.far = far
	var took time.Duration
	if k.up, k.down, took, err = bind(ctx, near, far); err != nil {
		k.close()
		return nil, err
	}
	near.tunnel.Phases = append(near.tunnel.Phases, report.Phase{Name: phaseChannel, Milliseconds: float64(took.Microseconds()) / 1000})
	return k, nil
}

func (k *call) close() {
	k.near.client.Close()
	k.far.client.Close()
}

// beside compares with the direct baseline over the same transport, if the run has one.
func beside(c, baseline report.Cell) *report.Beside {
	if c.Figures == nil || baseline.Figures == nil || c.Name == baseline.Name {
		return nil
	}
	b := baseline.Figures
	out := &report.Beside{Baseline: baseline.Name, RTTAdded: c.Figures.RTT.P50 - b.RTT.P50}
	if b.UpMbps > 0 && b.DownMbps > 0 {
		out.UpRatio, out.DownRatio = c.Figures.UpMbps/b.UpMbps, c.Figures.DownMbps/b.DownMbps
	}
	return out
}
