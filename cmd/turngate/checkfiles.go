package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/turngate/turngate/harness/diagnosis"
)

// checkFiles are what a check writes besides its text.
type checkFiles []checkFile

type checkFile struct {
	flag   string
	w      io.Writer
	file   *os.File // nil: standard output
	render func(io.Writer, diagnosis.Report, []diagnosis.Finding) error
}

// outputs are opened before the walk, so that a wrong path costs none. Where the document goes to
// standard output the text goes to standard error.
func (c *checkCmd) outputs(std stdio) (text io.Writer, files checkFiles, err error) {
	text = std.out
	for _, o := range []struct {
		flag, path string
		render     func(io.Writer, diagnosis.Report, []diagnosis.Finding) error
	}{
		{"--json", c.JSON, diagnosis.WriteJSON},
		{"--junit", c.JUnit, diagnosis.WriteJUnit},
		{"--bundle", c.Bundle, writeBundle},
	} {
		switch {
		case o.path == "":
		case o.path == "-" && o.flag == "--json":
			text, files = std.err, append(files, checkFile{o.flag, std.out, nil, o.render})
		default:
			f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				files.close()
				return nil, nil, usageError{fmt.Errorf("%s: %w", o.flag, err)}
			}
			files = append(files, checkFile{o.flag, f, f, o.render})
		}
	}
	return text, files, nil
}

func writeBundle(w io.Writer, r diagnosis.Report, findings []diagnosis.Finding) error {
	return diagnosis.WriteBundle(w, r, findings, diagnosis.ThisEnvironment(version(), os.Args[1:], os.LookupEnv))
}

func (files checkFiles) write(r diagnosis.Report, findings []diagnosis.Finding) error {
	var errs []error
	for _, f := range files {
		if err := f.render(f.w, r, findings); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.flag, err))
		}
	}
	return errors.Join(errs...)
}

func (files checkFiles) close() {
	for _, f := range files {
		if f.file != nil {
			f.file.Close()
		}
	}
}
