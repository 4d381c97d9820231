package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/watch"
)

// watches tells whether the flags ask for more than one look at one path.
func (c *checkCmd) watches() bool { return c.Every != 0 || c.Metrics != "" || c.Targets != "" }

func (c *checkCmd) validWatch() error {
	switch {
	case c.Every != 0 && c.Every < time.Second:
		return usageError{fmt.Errorf("--every %v: want 1s at least", c.Every)}
	case c.Metrics != "" && c.Every == 0:
		return usageError{errors.New("--metrics needs --every: how often to look")}
	case c.JSON != "" || c.JUnit != "" || c.Bundle != "":
		return usageError{errors.New("--json, --junit and --bundle are of one look at one path: leave out --every and --targets")}
	}
	return nil
}

// watch looks at the targets once, or again and again until ctx ends. SIGHUP reads them again.
func (c *checkCmd) watch(ctx context.Context, std stdio, k *kong.Context) error {
	if err := c.validWatch(); err != nil {
		return err
	}
	targets, err := c.targets(ctx, k)
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	if c.Every > 0 {
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
	}
	registry := prometheus.NewRegistry()
	metrics := watch.NewMetrics(registry)
	if c.Metrics != "" {
		stop, err := serveMetrics(c.Metrics, registry, std.err)
		if err != nil {
			return usageError{fmt.Errorf("--metrics: %w", err)}
		}
		defer stop()
	}
	o := &watchOutput{w: std.out, err: std.err, verbose: c.Verbose, metrics: metrics}
	for targets != nil {
		targets = c.lookAt(ctx, targets, o, hangup, k)
	}
	switch {
	case c.Every > 0: // was to be ended by a signal
		return nil
	case ctx.Err() != nil:
		return outcome(exitVoid)
	case o.failed:
		return outcome(exitFail)
	}
	return nil
}

// lookAt watches the targets until ctx ends or, with --every 0, once. At SIGHUP it returns what the
// targets are now; as long as these are wrong it goes on with the old ones.
func (c *checkCmd) lookAt(ctx context.Context, targets []watch.Target, o *watchOutput, hangup <-chan os.Signal, k *kong.Context) []watch.Target {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch.Watch{Targets: targets, Every: c.Every, Metrics: o.metrics, Seen: o.seen}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	for {
		select {
		case <-done:
			return nil
		case <-hangup:
		}
		next, err := c.targets(ctx, k)
		if err != nil {
			fmt.Fprintf(o.err, "turngate: SIGHUP: nothing is changed: %v\n", err)
			continue
		}
		cancel()
		<-done
		o.metrics.Keep(next, targets)
		fmt.Fprintf(o.err, "turngate: SIGHUP: targets: %d\n", len(next))
		return next
	}
}

// A watchOutput prints a line for each look.
type watchOutput struct {
	w, err  io.Writer
	verbose bool
	metrics *watch.Metrics
	failed  bool // a path, at any look
}

func (o *watchOutput) seen(r watch.Result) {
	o.failed = o.failed || r.Stopped || !r.Report.Through()
	if r.Stopped {
		fmt.Fprintf(o.w, "%s  %s: stopped: its password was rejected, here or at another target; SIGHUP starts it again\n", time.Now().UTC().Format(time.RFC3339), r.Target.Name)
		return
	}
	code := ""
	if len(r.Findings) > 0 {
		code = " (" + r.Findings[0].Code + ")"
	}
	fmt.Fprintf(o.w, "%s  %s: %s%s\n", r.Report.Started.UTC().Format(time.RFC3339), r.Target.Name, r.Report.Verdict(), code)
	if o.verbose {
		diagnosis.WriteText(o.w, r.Report, r.Findings)
		fmt.Fprintln(o.w)
	}
}

const metricsTimeout = 10 * time.Second // for a request

// serveMetrics answers at /metrics until stop is called.
func serveMetrics(address string, registry *prometheus.Registry, log io.Writer) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "turngate: metrics at http://%s/metrics\n", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(log, "turngate: metrics: %v\n", err)
		}
	}()
	return func() {
		server.Close()
		<-done
	}, nil
}
