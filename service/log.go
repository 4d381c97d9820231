package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
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
	audit *lines // nil for none
	path  string // of the audit log, "-" for standard output

	service  *slog.Logger // what the service itself says
	server   *slog.Logger // for turntcp: to the log, and from Info on to the audit log
	accounts *slog.Logger // the audit log alone, or nil
}

func openLogs(c *Config, p Process) (*logs, error) {
	l := &logs{path: c.Audit}
	if c.Audit != "" {
		w, err := l.openAudit(p.Stdout)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		l.audit = newLines(w, lostLine(true))
	}
	l.main = newLines(unclosed{p.Stderr}, lostLine(c.LogJSON))
	handler := newHandler(l.main, c.LogJSON, c.LogLevel)
	l.service, l.server = slog.New(handler), slog.New(handler)
	if l.audit != nil {
		audit := newHandler(l.audit, true, slog.LevelInfo)
		l.server, l.accounts = slog.New(slog.NewMultiHandler(handler, audit)), slog.New(audit)
	}
	return l, nil
}

func (l *logs) openAudit(stdout io.Writer) (io.WriteCloser, error) {
	if l.path == "-" {
		return unclosed{stdout}, nil
	}
	return os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// unclosed is a writer that belongs to others.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// reopen opens the audit file anew, which may have been moved away meanwhile. Its error includes
// what went wrong with writing since the last time.
func (l *logs) reopen() error {
	if l.audit == nil {
		return nil
	}
	failed := l.audit.err()
	if l.path == "-" {
		return failed
	}
	f, err := l.openAudit(nil)
	if err == nil {
		err = l.audit.changeTo(f)
	}
	return errors.Join(failed, err)
}

// close writes what is queued.
func (l *logs) close() error {
	var err error
	if l.audit != nil {
		if err = l.audit.close(); err != nil {
			l.service.Error("audit log", "error", err)
		}
	}
	return errors.Join(err, l.main.close())
}
