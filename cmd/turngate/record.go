package main

import (
	"errors"
	"fmt"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
)

// documentFlags say where a record goes.
type documentFlags struct {
	JSON     string `name:"json" placeholder:"FILE" help:"Write all that was measured as JSON (docs/record.md); - is standard output."`
	HTML     string `name:"html" placeholder:"FILE" help:"Write a report as one HTML file without scripts."`
	HLog     string `name:"hlog" placeholder:"FILE" help:"Write the histograms as an HdrHistogram log."`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the objectives as JUnit XML."`
	Markdown string `placeholder:"FILE" help:"Append a summary in Markdown."`
}

// recordFlags are those of a command that makes a record.
type recordFlags struct {
	documentFlags
	liveFlags
}

// recordOutputs are where a record goes, and its text.
type recordOutputs struct {
	*outputs[measure.Record]
	json string // the file, if there is one
}

func (f *documentFlags) open(std stdio) (*recordOutputs, error) {
	o, err := openOutputs(std,
		output[measure.Record]{flag: "--json", path: f.JSON, render: report.RecordJSON},
		output[measure.Record]{flag: "--html", path: f.HTML, render: report.RecordHTML},
		output[measure.Record]{flag: "--hlog", path: f.HLog, render: report.RecordHLog},
		output[measure.Record]{flag: "--junit", path: f.JUnit, render: report.RecordJUnit},
		output[measure.Record]{flag: "--markdown", path: f.Markdown, add: true, render: report.RecordMarkdown})
	if err != nil {
		return nil, err
	}
	r := &recordOutputs{outputs: o}
	if f.JSON != "-" {
		r.json = f.JSON
	}
	return r, nil
}

// write prints the text and renders the record everywhere, whatever fails on the way.
func (o *recordOutputs) write(r measure.Record) error {
	return errors.Join(report.RecordText(o.text, r), o.outputs.write(r))
}

// checkpoint returns what keeps the record of a run that has not ended in its JSON file, so that it
// survives whatever becomes of this process; nil without a file. What fails is said once.
func (o *recordOutputs) checkpoint(std stdio) func(measure.Record) {
	if o.json == "" {
		return nil
	}
	said := false
	return func(r measure.Record) {
		err := o.writeOne(output[measure.Record]{flag: "--json", path: o.json, render: report.RecordJSON}, r)
		if err != nil && !said {
			said = true
			fmt.Fprintf(std.err, "the record so far could not be kept: %v\n", err)
		}
	}
}
