//go:build linux

// Relaybench measures TURN servers side by side: Debian's coturn, stock pion/turn and turngate, each in a
// process of its own on one core, driven from another core over loopback.
//
//	go run ./internal/relaybench -rounds 5 > result.md
//	go run ./internal/relaybench -servers turngate,coturn -loads trains -transports tls -seconds 10
//
// The servers take turns in each round, so that whatever else the machine does meets all of them; what
// is compared is the ratio within a round. The result is Markdown on standard output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type settings struct {
	rounds     int
	seconds    float64
	servers    list
	loads      list
	transports list
	ways       list
	rate       int // packets per second of the trains
	link       int // Mbit/s of the throttled client
	idle       int // allocations
	settle     time.Duration
	cores      cores
	limit      time.Duration
	profile    string
}

// cores are the numbers of the CPUs that the server and the load run on.
type cores struct{ server, load int }

// list is a flag of names, with commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error { *l = strings.Split(s, ","); return nil }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(os.Args[2:]))
	}
	s := settings{
		servers:    list{"coturn", "pion", "turngate"},
		loads:      list{"trains", "lone", "idle"},
		transports: list{"tcp", "tls"},
		ways:       list{"up", "down"},
	}
	flag.IntVar(&s.rounds, "rounds", 5, "how often each server is measured")
	flag.Float64Var(&s.seconds, "seconds", 3, "length of a load")
	flag.Var(&s.servers, "servers", "which, the first is what the others are compared with")
	flag.Var(&s.loads, "loads", "trains (8 x 1200 B on 100 connections), lone (160 B on 200), idle (memory, allocations/s), throttled (delay behind a slow link; needs root)")
	flag.Var(&s.transports, "transports", "tcp, tls")
	flag.Var(&s.ways, "ways", "up (to the peers), down (to the clients)")
	flag.IntVar(&s.rate, "rate", 240000, "packets per second that the trains offer")
	flag.IntVar(&s.link, "link", 20, "Mbit/s of the throttled client's link; its peer sends twice that")
	flag.IntVar(&s.idle, "idle", 3000, "allocations at rest")
	flag.DurationVar(&s.settle, "settle", 5*time.Second, "rest before the memory is measured")
	flag.IntVar(&s.cores.server, "server-core", 0, "CPU of the server")
	flag.IntVar(&s.cores.load, "load-core", 1, "CPU of the load")
	flag.DurationVar(&s.limit, "limit", 30*time.Minute, "end after this time at the latest")
	flag.StringVar(&s.profile, "profile", "", "prefix of files for CPU profiles of turngate and pion")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	exit(run(ctx, s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "relaybench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, s settings) error {
	runtime.LockOSThread() // servers are killed with the thread that started them
	if err := pinSelf(s.cores.load); err != nil {
		return err
	}
	writeConditions(os.Stdout, s)
	var all results
	for round := range s.rounds {
		for i := range s.servers {
			// Another one begins each round.
			name := s.servers[(i+round)%len(s.servers)]
			for _, transport := range s.transports {
				r, err := measure(ctx, s, name, transport, round)
				all = append(all, r...)
				if err != nil {
					return errors.Join(fmt.Errorf("%s over %s: %w", name, transport, err), all.write(os.Stdout, s))
				}
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done\n", round+1, s.rounds)
	}
	return all.write(os.Stdout, s)
}

// measure puts one server to all loads of one transport.
func measure(ctx context.Context, s settings, name, transport string, round int) (all results, err error) {
	for _, l := range s.loads {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		one, err := measureLoad(ctx, s, name, transport, l)
		if err != nil {
			return all, fmt.Errorf("%s: %w", l, err)
		}
		for i := range one {
			one[i].round, one[i].server, one[i].transport = round, name, transport
			fmt.Fprintln(os.Stderr, one[i])
		}
		all = append(all, one...)
	}
	return all, nil
}

func measureLoad(ctx context.Context, s settings, name, transport, l string) (results, error) {
	at := loopback
	var throttled *link
	if l == "throttled" {
		var err error
		if throttled, err = newLink(s.link); err != nil {
			return nil, err
		}
		defer throttled.remove()
		at = throttled.near
	}
	srv, err := start(ctx, s, name, at)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	switch l {
	case "idle":
		return measureIdle(ctx, s, srv, transport)
	case "throttled":
		return measureThrottled(ctx, s, throttled, srv, transport)
	}
	shape, ok := shapes[l]
	if !ok {
		return nil, fmt.Errorf("unknown load %q", l)
	}
	if l == "trains" {
		shape.rate = s.rate
	}
	var all results
	for _, way := range s.ways {
		r, err := drive(ctx, srv, transport, way, shape, time.Duration(s.seconds*float64(time.Second)))
		if err != nil {
			return all, fmt.Errorf("%s: %w", way, err)
		}
		r.load = l
		all = append(all, r)
	}
	return all, nil
}
