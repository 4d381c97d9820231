package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/matrix"
	"github.com/turngate/turngate/harness/report"
)

type matrixCmd struct {
	Lab      string        `default:"embedded" enum:"embedded,real" help:"The lab to run: embedded, or real for Squid, Apache and tinyproxy with real verifiers."`
	Plan     string        `placeholder:"FILE" help:"Run the cells of a plan, your own proxies, instead of a lab."`
	Faults   bool          `help:"Instead of the lab's proxies run the check on every fault that the embedded lab plays; each must end in its code."`
	Run_     []string      `name:"run" placeholder:"GLOB" help:"Only cells that match: parts are matched one by one, a shorter pattern matches the beginning, one without a slash any part. May be repeated."`
	List     bool          `help:"Print the names of the cells and exit."`
	Duration time.Duration `default:"600ms" help:"Measuring time per cell."`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the results as JSON; - is standard output."`
	JUnit    string        `name:"junit" placeholder:"FILE" help:"Write the results as JUnit XML; - is standard output."`
	Markdown string        `placeholder:"FILE" help:"Write a summary in Markdown; - is standard output."`
	Quiet    bool          `short:"q" help:"No progress on standard error."`
}

// Help is shown by turngate matrix --help.
func (matrixCmd) Help() string {
	return `Each cell takes TURN through one proxy with one authentication over one transport, and is measured
beside a direct baseline of the same run, or must fail as it declares. Docs: docs/matrix.md.

  turngate matrix --run 'kerberos/https-proxy'
  turngate matrix --lab real --junit junit.xml --markdown "$GITHUB_STEP_SUMMARY"
  turngate matrix --faults --run tunnel.idle
  turngate matrix --plan proxies.yaml`
}

// Run runs the matrix.
func (c *matrixCmd) Run(ctx context.Context, std stdio) error {
	if c.Duration <= 0 || c.Duration > time.Hour {
		return usageError{fmt.Errorf("--duration %v: want more than 0 and at most 1h", c.Duration)}
	}
	outputs, err := c.outputs(std)
	if err != nil {
		return err
	}
	m, l, err := c.matrix(ctx)
	if l != nil {
		defer l.Close()
	}
	if err != nil {
		return err
	}
	if m.Cells = matrix.Select(m.Cells, c.Run_); len(m.Cells) == 0 {
		return usageError{errors.New("--run matches no cell (see --list)")}
	}
	if c.List {
		for _, cell := range m.Cells {
			fmt.Fprintln(std.out, cell.Name)
		}
		return nil
	}
	if !c.Quiet {
		m.Progress = progress(std.err)
	}
	r := m.Run(ctx)
	if l != nil && l.Logs != nil && r.Counts()[report.Fail] > 0 {
		l.Logs(std.err)
	}
	if err := errors.Join(report.Text(outputs.text, r), outputs.write(r)); err != nil {
		return err
	}
	return verdict(r.Verdict)
}

func verdict(o report.Outcome) error {
	switch o {
	case report.Pass:
		return nil
	case report.Fail:
		return outcome(exitFail)
	}
	return outcome(exitVoid)
}

// matrix returns what to run, and the lab to close afterwards.
func (c *matrixCmd) matrix(ctx context.Context) (*matrix.Matrix, *lab.Lab, error) {
	m := &matrix.Matrix{Version: version(), Duration: c.Duration}
	if c.Plan != "" {
		plan, err := matrix.LoadPlan(c.Plan)
		if err != nil {
			return nil, nil, usageError{err}
		}
		m.Lab, m.Real, m.Cells, m.Note = c.Plan, true, plan.Cells(), "both ends through the proxy"
		return m, nil, nil
	}
	if c.Faults {
		if c.Lab != "embedded" {
			return nil, nil, usageError{errors.New("--faults: only the embedded lab plays faults")}
		}
		l, err := lab.New(slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, nil, err
		}
		m.Lab, m.Cells, m.Note = l.Name, matrix.CheckCells(l), "each cell is a diagnosis; the time-outs of its stages are short"
		return m, l, nil
	}
	l, err := startLab(ctx, c.Lab, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	m.Lab, m.Cells, m.Note = l.Name, matrix.LabCells(l), "client, proxies and TURN server share this machine and its loopback"
	return m, l, nil
}

func startLab(ctx context.Context, name string, log *slog.Logger) (*lab.Lab, error) {
	if name == "real" {
		return lab.NewReal(ctx, log)
	}
	return lab.New(log)
}

func progress(w io.Writer) func(int, int, report.Cell) {
	return func(done, all int, c report.Cell) {
		fmt.Fprintf(w, "%3d/%d %-4s %-55s %5.1f s\n", done, all, c.Outcome, c.Name, c.Seconds)
	}
}

func (c *matrixCmd) outputs(std stdio) (*outputs[report.Run], error) {
	return openOutputs(std,
		output[report.Run]{flag: "--json", path: c.JSON, render: report.JSON},
		output[report.Run]{flag: "--junit", path: c.JUnit, render: report.JUnit},
		output[report.Run]{flag: "--markdown", path: c.Markdown, add: true, render: report.Markdown})
}
