// Command knownanswers runs "turngate size" against proxies whose capacity is known, because it is a
// setting, and compares: each answer must be within 10 % of the truth, and name the right constraint. Some
// are lab proxies with limits; some are real Squids, made small by their configuration, and sized as an
// operator would (--proxy, --proxy-pid, --squid-manager).
//
//	go run ./internal/knownanswers            all of them, about two minutes each
//	go run ./internal/knownanswers tunnels    those whose name contains "tunnels"
//	go run ./internal/knownanswers squid      the real Squids
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

	// Of a real Squid: its scheme, and the lines for its squid.conf. SLOW is a program that delays the
	// helper it is given, as a far domain controller does.
	squid string
	lines []string
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
		ok, err := k.ask(ctx, program, dir, w)
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
	list := []known{
		{name: "bit rate, audio", args: []string{"--limit", fmt.Sprintf("mbps=%g", rate), "--profile", "audio"},
			truth: rate / eachWay("audio"), unit: "calls", found: calls, named: gaveWay, want: sizing.Throughput},
		{name: "bit rate, 720p", args: []string{"--limit", "mbps=50", "--profile", "720p"},
			truth: 50 / eachWay("720p"), unit: "calls", found: calls, named: gaveWay, want: sizing.Throughput},
		{name: "tunnels", args: []string{"--limit", fmt.Sprintf("tunnels=%d", tunnels), "--profile", "audio"},
			truth: tunnels, unit: "calls", found: calls, named: gaveWay, want: sizing.Tunnels},
		{name: "delay", args: []string{"--limit", fmt.Sprintf("delay=%dms", delay), "--profile", "audio"},
			truth: delay, unit: "ms added", found: added, named: gaveWay, want: sizing.DelayOnly},
		{name: "helpers", args: []string{"--limit", fmt.Sprintf("helpers=%d,helper-time=%gs", helpers, helperTime), "--profile", "audio", "--concurrent-calls", "100", "--joins-in-busiest-minute", "3000"},
			truth: helpers / helperTime, unit: "tunnels/s", found: logins, named: binding, want: sizing.ConnectRate + ", " + sizing.HelperQueue},
	}
	for i := range list {
		list[i].args = append([]string{"--lab", "embedded", "--auth", "basic"}, list[i].args...)
	}
	return append(list, squids()...)
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
func (k *known) ask(ctx context.Context, program, dir string, w io.Writer) (ok bool, err error) {
	begun := time.Now()
	args := append([]string{"size", "--quick", "--quiet", "--json", "-"}, k.args...)
	if k.squid != "" {
		way, end, err := k.startSquid(ctx, program, dir)
		if err != nil {
			return false, err
		}
		defer end()
		args = append(args, way...)
	}
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
	fmt.Fprintf(w, "%-18s truth %6.1f %-9s found %6.1f (%+.1f %%)  %s: %s  %.0f s\n  turngate %s\n", k.name, k.truth, k.unit, found, 100*off, named, verdict,
		time.Since(begun).Seconds(), strings.Join(args, " "))
	if !ok {
		fmt.Fprintln(w, text.String())
	}
	return ok, nil
}
