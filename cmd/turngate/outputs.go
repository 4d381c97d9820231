package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// An output is a document that a command writes of its result: where to, and how.
type output[T any] struct {
	flag   string
	path   string // "" for none, "-" for standard output
	add    bool   // to what the file holds, instead of replacing it
	render func(io.Writer, T) error
}

// outputs are the documents of one result.
type outputs[T any] struct {
	text io.Writer // for people: standard error if standard output is a document's
	out  io.Writer
	list []output[T]
}

// openOutputs tries the paths before the run, so that a wrong one costs no run. It leaves the files
// as they are.
func openOutputs[T any](std stdio, list ...output[T]) (*outputs[T], error) {
	o := &outputs[T]{text: std.out, out: std.out}
	for _, out := range list {
		switch out.path {
		case "":
			continue
		case "-":
			o.text = std.err
		default:
			if err := writable(out.path); err != nil {
				return nil, usageError{fmt.Errorf("%s: %w", out.flag, err)}
			}
		}
		o.list = append(o.list, out)
	}
	return o, nil
}

// write renders the result everywhere, whatever fails on the way.
func (o *outputs[T]) write(v T) error {
	var errs []error
	for _, out := range o.list {
		errs = append(errs, o.writeOne(out, v))
	}
	return errors.Join(errs...)
}

func (o *outputs[T]) writeOne(out output[T], v T) error {
	var b bytes.Buffer
	err := out.render(&b, v)
	if err == nil {
		switch {
		case out.path == "-":
			_, err = o.out.Write(b.Bytes())
		case out.add:
			err = appendTo(out.path, b.Bytes())
		default:
			err = replace(out.path, b.Bytes())
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", out.flag, err)
	}
	return nil
}

// writable says why a file could not be written. It makes no file that was not there.
func writable(path string) error {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		return file.Close()
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(path))
}

func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// replace writes a file so that it holds either all of the old text or all of the new one, whenever
// the program or the machine ends. What is no ordinary file (/dev/stdout, a pipe) is written as it is.
func replace(path string, text []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return appendTo(path, text)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o666); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}
