// Command knownanswers runs "turngate size" against lab proxies whose capacity is known, because it is
// a setting, and compares: each answer must be within 10 % of the truth, and name the right constraint.
//
//	go run ./internal/knownanswers            all of them, about two minutes each
//	go run ./internal/knownanswers tunnels    those whose name contains "tunnels"
//
// It wants a machine with nothing else to do.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/harness/sizing"
)

// A known is a proxy whose limit is set, and what its sizing must say.
type known struct {
	name  string
	args  []string
	truth float64
	unit  string
	found func(measure.Record) float64
	named func(measure.Record) string
	want  string // of named
}

// tolerance is how far an answer may be off.
const tolerance = 0.1

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "knownanswers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, wanted []string, w io.Writer) error {
	dir, err := os.MkdirTemp("", "knownanswers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "turngate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/turngate").CombinedOutput(); err != nil {
		return fmt.Errorf("building turngate: %w: %s", err, out)
	}
	wrong := 0
	for _, k := range answers() {
		if !matches(k.name, wanted) {
			continue
		}
		ok, err := k.ask(ctx, program, w)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if !ok {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d answers are wrong", wrong)
	}
	return nil
}

func matches(name string, wanted []string) bool {
	for _, part := range wanted {
		if strings.Contains(name, part) {
			return true
		}
	}
	return len(wanted) == 0
}

func calls(r measure.Record) float64  { return float64(r.Size.Capacity) }
func logins(r measure.Record) float64 { return r.Size.Logins.PerSecond }
func gaveWay(r measure.Record) string { return r.Size.GaveWay }
func binding(r measure.Record) string { return r.Size.Binding + ", " + r.Size.Logins.GaveWay }

// added is the delay that the proxy adds to the fewest calls.
func added(r measure.Record) float64 {
	var least *measure.Step
	for i, s := range r.Steps {
		if s.Kind == "search" && s.Figures["added_p50_ms"] > 0 && (least == nil || s.Calls < least.Calls) {
			least = &r.Steps[i]
		}
	}
	if least == nil {
		return 0
	}
	return least.Figures["added_p50_ms"]
}

// answers computes the truths from the limits. On the wire a packet has four bytes of ChannelData's
// header besides its payload.
func answers() []known {
	const rate, tunnels, delay, helpers, helperTime = 2.0, 37, 60, 2, 0.1
	return []known{
		{"bit rate, audio", []string{"--limit", fmt.Sprintf("mbps=%g", rate), "--profile", "audio"}, rate / eachWay("audio"), "calls", calls, gaveWay, sizing.Throughput},
		{"bit rate, 720p", []string{"--limit", "mbps=50", "--profile", "720p"}, 50 / eachWay("720p"), "calls", calls, gaveWay, sizing.Throughput},
		{"tunnels", []string{"--limit", fmt.Sprintf("tunnels=%d", tunnels), "--profile", "audio"}, tunnels, "calls", calls, gaveWay, sizing.Tunnels},
		{"delay", []string{"--limit", fmt.Sprintf("delay=%dms", delay), "--profile", "audio"}, delay, "ms added", added, gaveWay, sizing.DelayOnly},
		{"helpers", []string{"--limit", fmt.Sprintf("helpers=%d,helper-time=%gs", helpers, helperTime), "--profile", "audio", "--concurrent-calls", "100", "--joins-in-busiest-minute", "3000"},
			helpers / helperTime, "tunnels/s", logins, binding, sizing.ConnectRate + ", " + sizing.HelperQueue},
	}
}

// eachWay is the rate of a call on the wire, one way, in Mbit/s.
func eachWay(profile string) (mbps float64) {
	p, err := loadgen.FindProfile(profile)
	if err != nil {
		panic(err)
	}
	for _, s := range p.Record().Streams {
		if s.Up {
			mbps += s.Kbps/1000 + s.PPS*4*8/1e6
		}
	}
	return mbps
}

// ask runs one sizing and prints how it compares.
func (k *known) ask(ctx context.Context, program string, w io.Writer) (ok bool, err error) {
	begun := time.Now()
	args := append([]string{"size", "--lab", "embedded", "--auth", "basic", "--quick", "--quiet", "--json", "-"}, k.args...)
	cmd := exec.CommandContext(ctx, program, args...)
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	failed := cmd.Run() // a proxy that carries nothing is an answer, too
	r, err := report.ReadRecord(&out)
	if err != nil {
		return false, fmt.Errorf("%w (%v): %s", err, failed, text.String())
	}
	if r.Size == nil {
		return false, fmt.Errorf("no answer: %s", text.String())
	}
	found, named := k.found(r), k.named(r)
	off := found/k.truth - 1
	ok = math.Abs(off) <= tolerance && named == k.want
	verdict := "ok"
	if !ok {
		verdict = "WRONG, want " + k.want
	}
	fmt.Fprintf(w, "%-16s truth %6.1f %-9s found %6.1f (%+.1f %%)  %s: %s  %.0f s\n  turngate %s\n", k.name, k.truth, k.unit, found, 100*off, named, verdict,
		time.Since(begun).Seconds(), strings.Join(args, " "))
	if !ok {
		fmt.Fprintln(w, text.String())
	}
	return ok, nil
}
