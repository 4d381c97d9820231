package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
)

type reportCmd struct {
	Files []string `arg:"" help:"Records, as --json of load and size has written them."`
	documentFlags
}

// Help is shown by turngate report --help.
func (reportCmd) Help() string {
	return `Renders a record again, in every form that turngate load and size have. Docs: docs/report.md.

  turngate report run.json --html run.html`
}

// Run renders.
func (c *reportCmd) Run(std stdio) error {
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
