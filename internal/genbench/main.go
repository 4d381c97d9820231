//go:build linux

// Genbench measures the load generator: how well it keeps time, how many packets a core of it sends and
// receives, what memory an idle tunnel takes, and coturn's turnutils_uclient for the same work.
//
//	go run ./internal/genbench > result.md
//	go run ./internal/genbench -only pace,uclient -seconds 10
//
// Every measurement is a run of turngate load, as a user would make it: generator, proxy and TURN server
// are three processes. The result is Markdown on standard output.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

type bench struct {
	turngate string // program
	seconds  int    // length of a measurement
	tunnels  int
	rounds   int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "genbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	b := &bench{}
	only := flag.String("only", "pace,rate,idle,uclient", "which measurements")
	flag.IntVar(&b.seconds, "seconds", 10, "length of a measurement")
	flag.IntVar(&b.tunnels, "tunnels", 9000, "idle ones")
	flag.IntVar(&b.rounds, "rounds", 3, "how often pace and uclient are measured, in turn")
	flag.StringVar(&b.turngate, "turngate", "", "the program; default is to build it")
	flag.Parse()
	if b.turngate == "" {
		dir, err := os.MkdirTemp("", "genbench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.turngate = filepath.Join(dir, "turngate")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.turngate, "./cmd/turngate")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("go build ./cmd/turngate, in the module's directory: %w", err)
		}
	}
	fmt.Printf("%s, %s, %d x %s, load average %.1f before, %s. Generator, proxy and TURN server share this machine and its loopback.\n\n",
		runtime.Version(), measure.Kernel(), runtime.NumCPU(), measure.CPUModel(), measure.LoadAverage(), time.Now().UTC().Format(time.DateOnly))
	chosen := strings.Split(*only, ",")
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"idle", b.idle}, {"pace", b.pace}, {"uclient", b.uclient}, {"rate", b.rate}} {
		if !slices.Contains(chosen, part.name) || part.name == "uclient" && slices.Contains(chosen, "pace") {
			continue // which takes it along
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
