//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

type results []result

// writeConditions says under what the figures were had.
func writeConditions(w io.Writer, s settings) {
	read := func(path string) string { b, _ := os.ReadFile(path); return strings.TrimSpace(string(b)) }
	cpu := "unknown CPU"
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	fmt.Fprintf(w, "- %s\n- Linux %s, %s, %d CPUs; server on CPU %d, load on CPU %d\n- load average at the start: %s\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), read("/proc/sys/kernel/osrelease"), cpu, runtime.NumCPU(), s.cores.server, s.cores.load, read("/proc/loadavg"))
	fmt.Fprintf(w, "- coturn %s, pion/turn %s, turngate built with %s\n", coturnVersion(), pionVersion(), runtime.Version())
	fmt.Fprintf(w, "- `relaybench %s`\n\n", strings.Join(os.Args[1:], " "))
}

func coturnVersion() string {
	out, _ := exec.Command(peers.Find("turnserver"), "--version").CombinedOutput()
	fields := strings.Fields(string(out))
	if len(fields) == 0 {
		return "absent"
	}
	return fields[len(fields)-1]
}

func pionVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/pion/turn/v5" {
				return d.Version
			}
		}
	}
	return "unknown"
}

// A figure is one column: how a result becomes a number, and of which loads.
type figure struct {
	name   string
	of     func(result) float64
	format string
}

var (
	relaying = []figure{
		{"offered/s", func(r result) float64 { return r.perSecond(r.offered) }, "%.0f"},
		{"really sent/s", func(r result) float64 { return r.perSecond(r.sent) }, "%.0f"},
		{"relayed/s", result.relayedPerSecond, "%.0f"},
		{"relayed of sent, %", func(r result) float64 { return 100 * r.share() }, "%.2f"},
		{"CPU us/packet", result.cpuPerPacket, "%.2f"},
	}
	resting = []figure{
		{"KB per idle allocation", func(r result) float64 { return float64(r.memory) / 1024 }, "%.1f"},
		{"allocations/s", func(r result) float64 { return r.allocations }, "%.0f"},
		{"CPU us/allocation", func(r result) float64 { return float64(r.allocationCPU.Microseconds()) }, "%.0f"},
	}
	delaying = []figure{
		{"sent/s", func(r result) float64 { return r.perSecond(r.sent) }, "%.0f"},
		{"arrived of sent, %", func(r result) float64 { return 100 * r.share() }, "%.0f"},
		{"the link's own p99, ms", func(r result) float64 { return r.ownP99.Seconds() * 1000 }, "%.1f"},
		{"p50 beyond it, ms", func(r result) float64 { return r.delayBeyond(r.median) }, "%.0f"},
		{"p99 beyond it, ms", func(r result) float64 { return r.delayBeyond(r.p99) }, "%.0f"},
	}
)

// write writes a table for each kind of load: the medians over the rounds, and the ratio to the
// first server within the same round, as median (least to greatest).
func (all results) write(w io.Writer, s settings) error {
	for _, l := range s.loads {
		columns, compared := relaying, result.cpuPerPacket
		title := "CPU"
		switch l {
		case "idle":
			columns, compared, title = resting, resting[0].of, "memory"
		case "throttled":
			columns, compared, title = delaying, delaying[4].of, "p99"
		}
		if err := all.writeTable(w, s, l, columns, title, compared); err != nil {
			return err
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	_, err := fmt.Fprintf(w, "Load average at the end: %s", load)
	return err
}

func (all results) writeTable(w io.Writer, s settings, load string, columns []figure, title string, compared func(result) float64) error {
	head := []string{"load", "server"}
	for _, c := range columns {
		head = append(head, c.name)
	}
	head = append(head, fmt.Sprintf("%s / %s's", title, s.servers[0]))
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	ways := s.ways
	if load == "idle" {
		ways = list{"-"}
	}
	for _, transport := range s.transports {
		for _, way := range ways {
			for _, name := range s.servers {
				rows := all.of(name, transport, load, way)
				if len(rows) == 0 {
					continue
				}
				cells := []string{strings.TrimSuffix(fmt.Sprintf("%s %s %s", load, strings.ToUpper(transport), way), " -"), name}
				for _, c := range columns {
					cells = append(cells, fmt.Sprintf(c.format, median(rows.each(c.of))))
				}
				cells = append(cells, rows.ratio(all.of(s.servers[0], transport, load, way), compared))
				fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (all results) of(server, transport, load, way string) (some results) {
	for _, r := range all {
		if r.server == server && r.transport == transport && r.load == load && r.way == way {
			some = append(some, r)
		}
	}
	return some
}

func (all results) each(f func(result) float64) (values []float64) {
	for _, r := range all {
		values = append(values, f(r))
	}
	return values
}

// ratio compares round by round.
func (all results) ratio(base results, f func(result) float64) string {
	var ratios []float64
	for _, r := range all {
		for _, b := range base {
			if b.round == r.round && f(b) > 0 {
				ratios = append(ratios, f(r)/f(b))
			}
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
