//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/turngate/turngate/harness/measure"
)

// load runs turngate load and returns its steps; a verdict other than pass is the caller's to look at.
func (b *bench) load(ctx context.Context, environment []string, args ...string) ([]measure.Step, error) {
	cmd := exec.CommandContext(ctx, b.turngate, append([]string{"load", "--auth", "basic", "--quiet", "--json", "-"}, args...)...)
	cmd.Env = append(os.Environ(), environment...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	var r measure.Record
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	if r.Partial || len(r.Steps) < 2 {
		return nil, fmt.Errorf("the run did not end as it should: %v", r.Reasons)
	}
	return r.Steps, nil
}

// idle compares one tunnel with many.
func (b *bench) idle(ctx context.Context) error {
	steps, err := b.load(ctx, nil, "--profile", "idle", "--shape", "steps", "--steps", "1,"+strconv.Itoa(b.tunnels), "--duration", "10s")
	if err != nil {
		return err
	}
	one, many := steps[0], steps[1]
	up := many.Tunnels.Opened + one.Tunnels.Opened
	fmt.Printf("| idle tunnels | opened | RSS | per tunnel | descriptors | CPU |\n|---|---|---|---|---|---|\n")
	fmt.Printf("| %d | %d | %.1f MB, with one tunnel %.1f MB | **%.1f KB** | %d of %d | %.2f cores |\n\n", b.tunnels, up,
		float64(many.Generator.RSS)/1e6, float64(one.Generator.RSS)/1e6, float64(many.Generator.RSS-one.Generator.RSS)/1e3/float64(up-1),
		many.Generator.FDs, many.Generator.FDLimit, many.Generator.CPU)
	return nil
}

// callsOfPace send 20,000 packets per second, both ways together.
const callsOfPace = 182

// pace is audio straight to a server: the direct baseline of a short load.
func (b *bench) pace(ctx context.Context) error {
	fmt.Printf("20,000 packets/s of audio (80 bytes, lone packets), straight to the server; each is sent and received by the process:\n\n")
	fmt.Printf("| round | program | sent/s | received/s | lateness p50 | p99 | max | CPU | CPU per packet |\n|---|---|---|---|---|---|---|---|---|\n")
	for round := range b.rounds {
		steps, err := b.load(ctx, nil, "--profile", "audio", "--calls", strconv.Itoa(callsOfPace), "--baseline", strconv.Itoa(b.seconds)+"s", "--duration", "1s")
		if err != nil {
			return err
		}
		s := steps[0]
		l := s.Generator.Lateness.Summary()
		sent, received := float64(s.Up.Sent+s.Down.Sent)/s.Seconds, s.Up.PPS+s.Down.PPS
		fmt.Printf("| %d | turngate load | %.0f | %.0f | %.2f ms | **%.2f ms** | %.1f ms | %.2f cores | %.1f us |\n", round+1, sent, received, l.P50, l.P99, l.Max, s.Generator.CPU, s.Generator.CPU*1e6/received)
		if err := b.uclientRow(ctx, round+1, 100, 5, 80); err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

// rate is video straight to a server, by a generator that may use one core.
func (b *bench) rate(ctx context.Context) error {
	fmt.Printf("1080p calls straight to the server, with GOMAXPROCS=1; packets up to 1200 bytes, six to a frame:\n\n")
	fmt.Printf("| calls | packets/s up | down | Mbit/s | arrived | late by 100 ms | lateness p99 | CPU | packets/s each way per core |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, calls := range []int{64, 128, 192, 256, 320} {
		steps, err := b.load(ctx, []string{"GOMAXPROCS=1"}, "--profile", "1080p", "--calls", strconv.Itoa(calls), "--baseline", strconv.Itoa(b.seconds)+"s", "--duration", "1s")
		if err != nil {
			return err
		}
		s := steps[0]
		arrived := float64(s.Up.Received+s.Down.Received) / float64(s.Up.Scheduled+s.Down.Scheduled)
		fmt.Printf("| %d | %.0f | %.0f | %.0f | %.2f %% | %.2f %% | %.2f ms | %.2f cores | **%.0f** |\n", calls, s.Up.PPS, s.Down.PPS, s.Up.Mbps+s.Down.Mbps, 100*arrived,
			100*max(s.Up.Late[1].Share, s.Down.Late[1].Share), s.Generator.Lateness.Milliseconds(0.99), s.Generator.CPU, (s.Up.PPS+s.Down.PPS)/2/s.Generator.CPU)
	}
	fmt.Println()
	return nil
}
