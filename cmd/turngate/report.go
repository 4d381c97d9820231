package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
)

type reportCmd struct {
	Files   []string `arg:"" help:"Records, as --json of load and size has written them. With --compare two, or two lists of repeats with commas between. With --merge one of each part."`
	Compare bool     `xor:"compare" help:"Compare the second file with the first."`
	Merge   bool     `xor:"compare" help:"Make one record of those that hosts with a --part each have written of a run, and judge it."`
	FailIf  []string `name:"fail-if" placeholder:"CONDITION" sep:"none" help:"With --compare: METRIC>+N% or METRIC<-N%, as in added_p99>+10%; without % in the metric's own unit. May be repeated."`
	documentFlags
}

// Help is shown by turngate report --help.
func (reportCmd) Help() string {
	return `Renders a record again, in every form that turngate load and size have, or compares runs. A difference counts
only if it is beyond the spread of the repeats. Exit status of a comparison: 0 none of --fail-if, 1 one of them,
3 within the spread or nothing in common; of a merged record by its verdict, as for turngate load. Docs: docs/report.md.

  turngate report run.json --html run.html
  turngate report --merge part1.json part2.json part3.json --json run.json --html run.html
  turngate report --compare before.json after.json --fail-if 'added_p99>+10%' --fail-if 'capacity<-5%'
  turngate report --compare a1.json,a2.json,a3.json b1.json,b2.json,b3.json`
}

// Run renders, merges or compares.
func (c *reportCmd) Run(std stdio) error {
	if c.Compare {
		return c.compare(std)
	}
	if len(c.FailIf) > 0 {
		return usageError{errors.New("--fail-if goes with --compare")}
	}
	if c.Merge {
		return c.merge(std)
	}
	records, err := readRecords(c.Files)
	if err != nil {
		return err
	}
	if len(records) > 1 && c.documentFlags != (documentFlags{}) {
		return usageError{errors.New("--json, --html, --hlog, --junit and --markdown are for one record")}
	}
	out, err := c.open(std)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := out.write(r); err != nil {
			return err
		}
	}
	return nil
}

// merge makes one record of the parts of a run.
func (c *reportCmd) merge(std stdio) error {
	records, err := readRecords(c.Files)
	if err != nil {
		return err
	}
	var pieces []loadtest.Piece
	for i, r := range records {
		pieces = append(pieces, loadtest.Piece{File: c.Files[i], Record: r})
	}
	merged, err := loadtest.Merge(pieces)
	if err != nil {
		return usageError{fmt.Errorf("--merge: %w", err)}
	}
	out, err := c.open(std)
	if err != nil {
		return err
	}
	return errors.Join(out.write(merged), verdictOf(merged))
}

func (c *reportCmd) compare(std stdio) error {
	if len(c.Files) != 2 {
		return usageError{fmt.Errorf("--compare wants two files, or two lists with commas between, and got %d", len(c.Files))}
	}
	if c.documentFlags != (documentFlags{Markdown: c.Markdown}) {
		return usageError{errors.New("--compare has text and --markdown")}
	}
	var conditions []report.FailIf
	for _, text := range c.FailIf {
		condition, err := report.ParseFailIf(text)
		if err != nil {
			return usageError{fmt.Errorf("--fail-if: %w", err)}
		}
		conditions = append(conditions, condition)
	}
	var sides [2][]measure.Record
	for i := range sides {
		var err error
		if sides[i], err = readRecords(strings.Split(c.Files[i], ",")); err != nil {
			return err
		}
	}
	out, err := openOutputs(std, output[report.Comparison]{flag: "--markdown", path: c.Markdown, add: true, render: report.CompareMarkdown})
	if err != nil {
		return err
	}
	comparison := report.Compare(sides[0], sides[1], conditions)
	if err := errors.Join(report.CompareText(out.text, comparison), out.write(comparison)); err != nil {
		return err
	}
	return verdictOf(measure.Record{Verdict: comparison.Verdict})
}

func readRecords(files []string) (list []measure.Record, err error) {
	for _, name := range files {
		r, err := readRecord(name)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", name, err)}
		}
		list = append(list, r)
	}
	return list, nil
}

func readRecord(name string) (measure.Record, error) {
	file, err := os.Open(name)
	if err != nil {
		return measure.Record{}, err
	}
	defer file.Close()
	return report.ReadRecord(file)
}
