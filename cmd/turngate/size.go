package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/sizing"
)

type sizeCmd struct {
	Plan planFile `arg:"" optional:"" help:"YAML with values for these flags, their names with _ for -. Flags and environment win."`
	pathFlags
	Profile string `default:"720p" help:"What a call is made of: audio, 360p, 720p, 1080p, simulcast, screen."`
	peerFlags
	Quick     bool     `help:"Within two minutes, and coarser."`
	MaxCalls  int      `default:"10000" help:"Never try more calls than that."`
	Objective []string `placeholder:"METRIC=LIMIT" help:"Another limit than the default; off leaves the objective out. See docs/load.md. May be repeated."`
	demandFlags
	proxyFacts
	Validate int `placeholder:"N" help:"Predict the proxy's CPU for a mix that the cost model has not seen, print that, then measure the mix N times."`
	recordFlags
}

// demandFlags say what is asked of the proxies.
type demandFlags struct {
	Users          int           `help:"Users."`
	PerHour        float64       `name:"busy-hour-calls-per-user" default:"1" help:"Calls that a user makes in the busiest hour."`
	CallLength     time.Duration `default:"10m" help:"Of a call, on average."`
	Blocking       float64       `default:"0.01" help:"Share of the calls that may find no room (Erlang B)."`
	Erlangs        float64       `help:"Instead of users: traffic in erlangs."`
	Concurrent     int           `name:"concurrent-calls" help:"Instead of users: calls at a time."`
	JoinsPerMinute float64       `name:"joins-in-busiest-minute" help:"Calls that begin in the busiest minute; meetings begin on the hour. Default: as many as on average."`
}

// demand is complete. Without flags it is that of an example.
func (f *demandFlags) demand() (measure.Demand, error) {
	d := measure.Demand{Users: f.Users, PerHour: f.PerHour, HoldingS: f.CallLength.Seconds(), Blocking: f.Blocking,
		Erlangs: f.Erlangs, Concurrent: f.Concurrent, JoinsPerMinute: f.JoinsPerMinute}
	given := 0
	for _, v := range []bool{f.Users != 0, f.Erlangs != 0, f.Concurrent != 0} {
		if v {
			given++
		}
	}
	if given > 1 {
		return d, usageError{errors.New("--users, --erlangs and --concurrent-calls exclude each other")}
	}
	if given == 0 {
		d.Users = 1000
	}
	if d.Users == 0 {
		d.PerHour = 0
	}
	d, err := sizing.Concurrent(d)
	if err != nil {
		return d, usageError{fmt.Errorf("the demand (--users, --erlangs, --concurrent-calls and so on): %w", err)}
	}
	return d, nil
}

// proxyFacts are what is known of a proxy beforehand.
type proxyFacts struct {
	Cores          float64       `name:"proxy-cores" help:"Cores that the proxy can use. Default, if it runs here: all that its process may use (CPU affinity, cgroup quota), but 1 for Squid, which has one worker unless told otherwise."`
	MemoryGB       float64       `name:"proxy-memory" placeholder:"GB" help:"Memory of the proxy's machine. Default this machine's, if it runs here."`
	Descriptors    int           `name:"proxy-descriptors" help:"Descriptors that the proxy may have. Default its process's limit, if it runs here."`
	LinkMbps       float64       `name:"link-mbps" help:"Of the proxy's network interface, each way."`
	AddressPairs   int           `default:"1" help:"Source addresses of the proxy, times addresses of the TURN server."`
	Helpers        int           `help:"Authentication helpers of the proxy."`
	TunnelsPerCall float64       `default:"1" help:"Tunnels that a client opens for a call."`
	Return         time.Duration `name:"return-within" default:"10s" help:"Within which the calls of a proxy that died come back to the others."`
}

func (f *proxyFacts) proxy(t *target) (sizing.Proxy, error) {
	for _, v := range []float64{f.Cores, f.MemoryGB, float64(f.Descriptors), f.LinkMbps, float64(f.AddressPairs), float64(f.Helpers), f.TunnelsPerCall, float64(f.Return)} {
		if v < 0 {
			return sizing.Proxy{}, usageError{errors.New("what a proxy has (--proxy-cores, --proxy-memory and so on) is not negative")}
		}
	}
	p := sizing.Proxy{Cores: f.Cores, Memory: f.MemoryGB * 1e9, Descriptors: f.Descriptors, LinkMbps: f.LinkMbps, AddressPairs: f.AddressPairs,
		Helpers: f.Helpers, TunnelsPerCall: f.TunnelsPerCall, Return: f.Return}
	if p.Cores == 0 && t.probes.PID != 0 {
		p.Cores = float64(runtime.NumCPU())
		if may, err := loadtest.CoresOf(t.probes.PID); err == nil {
			p.Cores = may
			if may < float64(runtime.NumCPU()) {
				p.SharedCores = may
			}
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", t.probes.PID)); err == nil && strings.Contains(string(name), "squid") {
			p.Cores = min(p.Cores, 1)
		}
	}
	return p, nil
}

// Help is shown by turngate size --help.
func (sizeCmd) Help() string {
	return `Searches the number of calls that a proxy carries within the objectives, how many tunnels per second it opens, and
what its CPU is spent on, and says how many such proxies a demand needs, with one to spare. It loads the proxy until
something gives way: not for a proxy that others work with. Without a demand the answer is for 1000 users.
Exit status: 0 there is an answer, 1 the proxy carries no call, 3 it could not be judged or was interrupted.
Docs: docs/sizing.md.

  turngate size --lab embedded --auth ntlm --quick
  turngate size --lab real --auth kerberos --users 5000 --busy-hour-calls-per-user 2 --call-length 15m --json size.json
  turngate size --proxy http://proxy.corp:8080 --auth ntlm --turn turns:turn.corp:443 --turn-user u --concurrent-calls 800
  turngate size --peer 192.0.2.20:3481 --no-baseline --proxy http://proxy.corp:8080 --turn turns:turn.corp:443 --turn-user u`
}

// Run sizes.
func (c *sizeCmd) Run(ctx context.Context, std stdio) error {
	profile, err := loadgen.FindProfile(c.Profile)
	if err == nil && len(profile.Streams) == 0 {
		err = errors.New("a call without media has no capacity; idle tunnels are measured anyway")
	}
	if err != nil {
		return usageError{fmt.Errorf("--profile: %w", err)}
	}
	objectives, err := objectives(c.Objective)
	if err != nil {
		return err
	}
	demand, err := c.demand()
	if err != nil {
		return err
	}
	if c.MaxCalls < 1 || c.MaxCalls > 100_000 || c.Validate < 0 || c.Validate > 100 {
		return usageError{errors.New("want --max-calls from 1 to 100,000 and --validate from 0 to 100")}
	}
	if err := c.peerFlags.check(&c.pathFlags); err != nil {
		return err
	}
	out, err := c.open(std)
	if err != nil {
		return err
	}
	t, err := c.target(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	proxy, err := c.proxy(t)
	if err != nil {
		return err
	}
	lt, err := t.test(profile, objectives, c.Seed)
	if err != nil {
		return err
	}
	if err := c.peerFlags.apply(ctx, lt); err != nil {
		return err
	}
	lt.Checkpoint = out.checkpoint(std)
	sizing := loadtest.Sizing{Quick: c.Quick, Proxy: proxy, Demand: demand, Most: c.MaxCalls, Validate: c.Validate, Foretold: foretell(std.err)}
	record, err := c.watched(ctx, std, lt, func(ctx context.Context) (measure.Record, error) { return lt.Size(ctx, sizing) })
	if err != nil && len(record.Steps) == 0 {
		return loadError(err)
	}
	return errors.Join(out.write(record), loadError(err), verdictOf(record))
}

// foretell prints a prediction before it is put to the test.
func foretell(w io.Writer) func(measure.Validation) {
	return func(v measure.Validation) {
		beyond := ""
		if len(v.Beyond) > 0 {
			beyond = "; beyond what was fitted: " + strings.Join(v.Beyond, ", ")
		}
		fmt.Fprintf(w, "predicted for %s (%.1f Mbit/s, %.0f writes/s, %.1f CONNECTs/s): %.3f cores, between %.3f and %.3f%s\n",
			cmp.Or(v.Mix, "the mix"), v.Mbps, v.Writes, v.Connects, v.Predicted, v.Low, v.High, beyond)
	}
}
