package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/turngate/turngate/harness/measure"
)

// recordFormat is the version of measure.Record that is read and written.
const recordFormat = 1

// RecordJSON writes a record of load or size.
func RecordJSON(w io.Writer, r measure.Record) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// ReadRecord reads what RecordJSON wrote.
func ReadRecord(r io.Reader) (measure.Record, error) {
	var rec measure.Record
	if err := json.NewDecoder(r).Decode(&rec); err != nil {
		return rec, fmt.Errorf("not a record of turngate load or size: %w", err)
	}
	if rec.Format != recordFormat {
		return rec, fmt.Errorf("a record of format %d: this turngate reads format %d", rec.Format, recordFormat)
	}
	for i := range rec.Steps {
		if err := completeStep(&rec.Steps[i]); err != nil {
			return rec, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return rec, nil
}

// completeStep puts empty histograms where a file, perhaps edited by hand, has none.
func completeStep(s *measure.Step) error {
	for _, l := range []**measure.Latency{&s.Up.Delay, &s.Down.Delay, &s.Generator.Lateness, &s.Tunnels.Life} {
		if *l == nil {
			*l = measure.NewLatency()
		}
	}
	for i := range s.Streams {
		for _, l := range []**measure.Latency{&s.Streams[i].Delay, &s.Streams[i].Jitter} {
			if *l == nil {
				*l = measure.NewLatency()
			}
		}
	}
	for _, p := range s.Setup {
		if p.Took == nil {
			return errors.New("a phase of the set-up has no figures")
		}
	}
	return nil
}

// RecordText writes a record for a terminal: the verdict first.
func RecordText(w io.Writer, r measure.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", strings.ToUpper(string(r.Verdict)))
	if r.Partial {
		b.WriteString(" (partial: the run was interrupted)")
	}
	b.WriteString("\n")
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  %s\n", reason)
	}
	if r.Size != nil {
		sizeText(&b, r.Size)
	}
	stepsText(&b, r, r.Steps)
	objectivesText(&b, r.Objectives)
	for _, u := range r.Unknown {
		fmt.Fprintf(&b, "not known: %s\n", u)
	}
	fmt.Fprintf(&b, "\n%s\n", conditionsText(r))
	_, err := io.WriteString(w, b.String())
	return err
}

func stepsText(b *strings.Builder, r measure.Record, steps []measure.Step) {
	if len(steps) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSTEP\tVERDICT\tCALLS\tMbit/s\tPACKETS/s\t"+strings.ToUpper(delayName(r))+" p50\tp95\tp99\tADDED p95\tLATE\tCONNECT p95\tCPU")
	fmt.Fprintln(t, "\t\t\t\t\tms\tms\tms\tms\t%\tms\tcores")
	for _, s := range steps {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", stepName(s), s.Verdict, s.Calls, s.Up.Mbps+s.Down.Mbps, s.Up.PPS+s.Down.PPS,
			stepFigure(s, "delay_p50_ms", 1, "%.1f"), stepFigure(s, "delay_p95_ms", 1, "%.1f"), stepFigure(s, "delay_p99_ms", 1, "%.1f"), stepFigure(s, "added_p95_ms", 1, "%.1f"),
			stepFigure(s, "late_100ms_share", 100, "%.2f"), stepFigure(s, "connect_p95_ms", 1, "%.0f"), cores(s))
	}
	t.Flush()
}

// stepFigure is a figure of a step, or nothing.
func stepFigure(s measure.Step, name string, times float64, format string) string {
	v, ok := s.Figures[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf(format, v*times)
}

// cores is the proxy's CPU with its helpers.
func cores(s measure.Step) string {
	own, ok := s.Figures["mean_proc.cpu_cores"]
	if !ok || s.Direct {
		return ""
	}
	return fmt.Sprintf("%.2f", own+s.Figures["mean_proc.helpers_cpu_cores"])
}

func objectivesText(b *strings.Builder, list []measure.Objective) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nOBJECTIVE\tWANT\tGOT\tVERDICT\tSHARE")
	for _, o := range list {
		got, verdict := "not measured", ""
		if o.Measured {
			got, verdict = figure(o.Metric, o.Got), string(o.Verdict)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.Metric, want(o), got, verdict, o.Share)
	}
	t.Flush()
}

func want(o measure.Objective) string {
	if o.Max {
		return "<= " + figure(o.Metric, o.Limit)
	}
	return ">= " + figure(o.Metric, o.Limit)
}

func conditionsText(r measure.Record) string {
	c := r.Conditions
	text := fmt.Sprintf("%s through %s (%s), profile %s, seed %d, %.0f s; turngate %s, %s, %s, %d x %s, load average %.1f before",
		r.Path.TURN, r.Path.Proxy, r.Path.Auth, r.Profile.Name, r.Seed, r.Seconds, c.Version, c.OS, c.Kernel, c.CPUs, c.CPU, c.Load)
	if delay := delayText(r); delay != "" {
		text += "; " + delay
	}
	if r.Part != "" {
		text += "; part " + r.Part + " of the calls only"
	}
	if c.Note != "" {
		text += "; " + c.Note
	}
	return text + "."
}
