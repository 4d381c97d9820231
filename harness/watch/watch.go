// Package watch looks at paths again and again and keeps what it saw as Prometheus metrics.
//
//	w := &watch.Watch{Targets: targets, Every: time.Minute, Metrics: watch.NewMetrics(registry)}
//	w.Run(ctx) // until ctx ends
//
// A rejected password ends every target that uses the account, so that no account is locked by a probe:
// only a new Watch tries it again. The package raises no alarm and keeps no history.
package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/diagnosis"
)

// A Target is one path.
type Target struct {
	Name  string // unique, the label of its metrics
	Check *diagnosis.Check

	// ProxyAccount and TURNAccount name what would be rejected, such as "user alice" or the path of a
	// keytab; "" for nothing that could be. Targets with one ProxyAccount are looked at one after the
	// other, since several rejections at a time could lock it.
	ProxyAccount, TURNAccount string
}

// A Result is one look at a target.
type Result struct {
	Target   Target
	Report   diagnosis.Report
	Findings []diagnosis.Finding
	Stopped  bool // a credential was rejected, here or at another target: nothing was tried
}

// Rejected tells whether the look ended in a rejected credential.
func (r Result) Rejected() bool { return r.proxyRejected() || r.turnRejected() }

func (r Result) proxyRejected() bool {
	return slices.ContainsFunc(r.Report.Attempts, func(a diagnosis.Attempt) bool { return a.Outcome == diagnosis.Rejected })
}

func (r Result) turnRejected() bool {
	failure, failed := r.Report.Failure()
	return failed && failure.Kind == diagnosis.KindTURNUser
}

// A Watch looks at its targets. It is used once.
type Watch struct {
	Targets []Target
	Every   time.Duration // from the beginning of one look at a target to the next; 0: look once
	Metrics *Metrics      // optional

	// Seen is called after each look, and once for each target that is stopped, by one goroutine at a
	// time. Optional.
	Seen func(Result)

	mu       sync.Mutex
	rejected map[string]bool // accounts
}

// Run looks at the targets until ctx ends or, with Every 0, once.
func (w *Watch) Run(ctx context.Context) {
	w.rejected = make(map[string]bool)
	var work sync.WaitGroup
	for _, group := range groups(w.Targets) {
		work.Go(func() { w.follow(ctx, group) })
	}
	work.Wait()
}

// groups puts targets with one account at the proxy together, in their order.
func groups(targets []Target) (all [][]Target) {
	index := make(map[string]int)
	for _, t := range targets {
		i, known := index[t.ProxyAccount]
		if !known || t.ProxyAccount == "" {
			i = len(all)
			all = append(all, nil)
			index[t.ProxyAccount] = i
		}
		all[i] = append(all[i], t)
	}
	return all
}

// follow looks at a group's targets one after the other.
func (w *Watch) follow(ctx context.Context, group []Target) {
	told := make(map[string]bool)
	for {
		start := time.Now()
		for _, t := range group {
			if w.isRejected(t) {
				if !told[t.Name] {
					told[t.Name] = true
					w.seen(Result{Target: t, Stopped: true})
				}
				continue
			}
			w.look(ctx, t)
		}
		if w.Every <= 0 || !sleep(ctx, time.Until(start.Add(w.Every))) {
			return
		}
	}
}

func (w *Watch) look(ctx context.Context, t Target) {
	report := t.Check.Run(ctx)
	if report.Interrupted {
		return
	}
	r := Result{Target: t, Report: report, Findings: diagnosis.Explain(report)}
	w.mu.Lock()
	if r.proxyRejected() {
		w.rejected["proxy "+t.ProxyAccount] = true
	}
	if r.turnRejected() {
		w.rejected["TURN "+t.TURNAccount] = true
	}
	w.mu.Unlock()
	w.seen(r)
}

func (w *Watch) isRejected(t Target) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.ProxyAccount != "" && w.rejected["proxy "+t.ProxyAccount] || t.TURNAccount != "" && w.rejected["TURN "+t.TURNAccount]
}

func (w *Watch) seen(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Metrics != nil {
		w.Metrics.add(r)
	}
	if w.Seen != nil {
		w.Seen(r)
	}
}

// sleep returns false when ctx ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
