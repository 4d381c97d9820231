package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
)

// recordFlags say where a record goes.
type recordFlags struct {
	JSON     string `name:"json" placeholder:"FILE" help:"Write all that was measured as JSON (docs/record.md); - is standard output."`
	HTML     string `name:"html" placeholder:"FILE" help:"Write a report as one HTML file without scripts."`
	HLog     string `name:"hlog" placeholder:"FILE" help:"Write the histograms as an HdrHistogram log."`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the objectives as JUnit XML."`
	Markdown string `placeholder:"FILE" help:"Append a summary in Markdown."`
	Quiet    bool   `short:"q" help:"No progress on standard error."`
}

// recordOutputs are the files to write, opened before the run, so that a wrong path costs no run.
type recordOutputs struct {
	text io.Writer
	list []recordOutput
}

type recordOutput struct {
	w        io.Writer
	file     *os.File // nil for standard output
	appended bool
	render   func(io.Writer, measure.Record) error
}

func (f *recordFlags) open(std stdio) (*recordOutputs, error) {
	o := &recordOutputs{text: std.out}
	for _, out := range []struct {
		flag, path string
		render     func(io.Writer, measure.Record) error
	}{
		{"--json", f.JSON, report.RecordJSON}, {"--html", f.HTML, report.RecordText}, {"--hlog", f.HLog, report.RecordHLog},
		{"--junit", f.JUnit, report.RecordJUnit}, {"--markdown", f.Markdown, report.RecordMarkdown},
	} {
		switch out.path {
		case "":
		case "-":
			o.text = std.err // standard output is a document's
			o.list = append(o.list, recordOutput{w: std.out, render: out.render})
		default:
			file, err := os.OpenFile(out.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
			if err != nil {
				o.close()
				return nil, usageError{fmt.Errorf("%s: %w", out.flag, err)}
			}
			o.list = append(o.list, recordOutput{file, file, out.flag == "--markdown", out.render})
		}
	}
	return o, nil
}

// write renders the record everywhere, whatever fails on the way.
func (o *recordOutputs) write(r measure.Record) error {
	errs := []error{report.RecordText(o.text, r)}
	for _, out := range o.list {
		if out.file != nil && !out.appended {
			errs = append(errs, out.file.Truncate(0))
		}
		errs = append(errs, out.render(out.w, r))
	}
	return errors.Join(errs...)
}

func (o *recordOutputs) close() {
	for _, out := range o.list {
		if out.file != nil {
			out.file.Close()
		}
	}
}
