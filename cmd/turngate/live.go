package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/turngate/turngate/harness/live"
	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
)

// liveFlags say how a run is shown while it goes on.
type liveFlags struct {
	UI     string        `name:"ui" enum:"auto,plain,full" default:"auto" help:"How progress is shown: plain lines, or the full screen of a terminal. Default auto: full where there is a terminal and no CI."`
	Quiet  bool          `short:"q" help:"No progress on standard error."`
	Serve  string        `name:"metrics" placeholder:"HOST:PORT" help:"Serve metrics for Prometheus while it runs, at http://HOST:PORT/metrics."`
	Linger time.Duration `name:"metrics-linger" default:"0s" help:"How long to go on serving them after the run, so that the last ones are read."`
}

// watched does the run while it is shown and served.
func (f *liveFlags) watched(ctx context.Context, std stdio, lt *loadtest.Test, do func(context.Context) (measure.Record, error)) (measure.Record, error) {
	metrics, err := f.serve()
	if err != nil {
		return measure.Record{}, err
	}
	defer metrics.close()
	viewers, ctx, end, err := f.viewers(ctx, std, lt)
	if err != nil {
		return measure.Record{}, err
	}
	defer end()
	if metrics != nil {
		viewers = append(viewers, &metrics.Metrics)
	}
	lt.Progress = func(l loadtest.Live) {
		for _, v := range viewers {
			v.Progress(l)
		}
	}
	lt.StepDone = func(s measure.Step) {
		for _, v := range viewers {
			v.StepDone(s)
		}
	}
	record, err := do(ctx)
	end() // before anything else is printed
	metrics.linger(ctx, record.Verdict, f.Linger)
	return record, err
}

// errStopped is why a run is partial that its user stopped on the full screen.
var errStopped = errors.New("stopped by q")

// viewers are those for people. end gives the terminal back; it may be called twice.
func (f *liveFlags) viewers(ctx context.Context, std stdio, lt *loadtest.Test) (list []live.Viewer, _ context.Context, end func(), err error) {
	if f.Quiet {
		return nil, ctx, func() {}, nil
	}
	in, out, can := terminal(std)
	if f.UI == "full" && !can {
		return nil, ctx, nil, usageError{errors.New("--ui full: standard input and error are no terminal")}
	}
	to := ""
	if lt.Peer.IsValid() {
		to = fmt.Sprintf("to the echo peer %v: delays are RTT/2", lt.Peer)
	}
	if !can || f.UI == "plain" || f.UI == "auto" && (os.Getenv("CI") != "" || os.Getenv("TERM") == "dumb") {
		if to != "" {
			fmt.Fprintln(std.err, to)
		}
		return []live.Viewer{live.Lines{W: std.err}}, ctx, func() {}, nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	title := strings.TrimSpace(fmt.Sprintf("turngate · %s · %s %s %s", lt.Profile.Name, lt.Path.Proxy, lt.Path.Auth, to))
	screen := live.OpenScreen(in, out, title, func() { stop(errStopped) })
	return []live.Viewer{screen}, ctx, screen.Close, nil
}

// terminal is the one that the program talks to, if both ways lead to one.
func terminal(std stdio) (in, out *os.File, can bool) {
	in, isFile := std.in.(*os.File)
	if !isFile {
		return nil, nil, false
	}
	if out, isFile = std.err.(*os.File); !isFile {
		return nil, nil, false
	}
	return in, out, term.IsTerminal(in.Fd()) && term.IsTerminal(out.Fd())
}

// A metricsServer serves a run's metrics; nil is none.
type metricsServer struct {
	live.Metrics
	server *http.Server
	done   chan struct{}
}

func (f *liveFlags) serve() (*metricsServer, error) {
	if f.Serve == "" {
		return nil, nil
	}
	if f.Linger < 0 || f.Linger > time.Hour {
		return nil, usageError{fmt.Errorf("--metrics-linger %v: want up to 1h", f.Linger)}
	}
	l, err := net.Listen("tcp", f.Serve)
	if err != nil {
		return nil, usageError{fmt.Errorf("--metrics: %w", err)}
	}
	m := &metricsServer{done: make(chan struct{})}
	m.server = &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(l) // until it is closed
	}()
	return m, nil
}

// linger serves the last figures for a while, if the run came to its end.
func (m *metricsServer) linger(ctx context.Context, v measure.Verdict, d time.Duration) {
	if m == nil {
		return
	}
	m.Ended(v)
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (m *metricsServer) close() {
	if m == nil {
		return
	}
	m.server.Close()
	<-m.done
}
