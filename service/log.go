package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

// newHandler renders records as text or JSON, one line each.
func newHandler(w io.Writer, json bool, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if json {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// readable makes JSON say what the text says: addresses as 192.0.2.1:443, and times as 1.5s, where
// JSON would have the fields of net.TCPAddr and nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case net.Addr:
		a.Value = slog.StringValue(v.String())
	case time.Duration:
		a.Value = slog.StringValue(v.String())
	}
	return a
}

// lostLine says in the log's own format that lines were lost.
func lostLine(json bool) func(n int) []byte {
	return func(n int) []byte {
		var b bytes.Buffer
		slog.New(newHandler(&b, json, slog.LevelInfo)).Warn("records lost", "count", n, "reason", "the log took them too slowly")
		return b.Bytes()
	}
}

// logs are the log and the audit log.
type logs struct {
	main  *lines
	audit *audit // nil for none
	path  string // of the audit log, "-" for standard output
	log   *slog.Logger
}

func openLogs(c *Config, p Process) (*logs, error) {
	l := &logs{path: c.Audit}
	var file io.WriteCloser
	if c.Audit != "" {
		var err error
		if file, err = l.openAudit(p.Stdout); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	l.main = newLines(unclosed{p.Stderr}, lostLine(c.LogJSON), nil) // whom to tell?
	l.log = slog.New(newHandler(l.main, c.LogJSON, c.LogLevel))
	if file != nil {
		l.audit = &audit{realm: c.Realm, lines: newLines(file, lostLine(true), func(err error) {
			l.log.Error("audit log: records are lost", "error", err)
		})}
	}
	return l, nil
}

func (l *logs) openAudit(stdout io.Writer) (io.WriteCloser, error) {
	if l.path == "-" {
		return unclosed{stdout}, nil
	}
	return openAudit(l.path, os.O_CREATE)
}

// openAudit does not wait for somebody to read a pipe: it fails where nobody does.
func openAudit(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK|flags, 0o600)
	if errors.Is(err, syscall.ENXIO) {
		err = fmt.Errorf("%s: nobody reads this pipe", path)
	}
	return f, err
}

// unclosed is a writer that belongs to others.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// reopen opens the audit file anew, which may have been moved away meanwhile.
func (l *logs) reopen() error {
	if l.audit == nil || l.path == "-" {
		return nil
	}
	f, err := l.openAudit(nil)
	if err != nil {
		return err
	}
	return l.audit.changeTo(f)
}

// close writes what is queued. Its error is about the audit log only: who reads the log may have
// ended before us, and has the right to.
func (l *logs) close() error {
	var err error
	if l.audit != nil {
		if err = l.audit.close(); err != nil {
			err = fmt.Errorf("audit log: %w", err)
		}
	}
	_ = l.main.close()
	return err
}
