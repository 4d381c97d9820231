package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/fleet"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/loadtest"
)

// generatorFlags say what offers the calls.
type generatorFlags struct {
	Processes int    `default:"1" help:"Processes that share the calls; they begin together, follow the schedule of one, and their figures are merged."`
	Part      string `placeholder:"I/N" help:"Offer only the I-th of N equal parts of the calls (1-3/4: the first three of four); give all hosts of a run the same --seed."`
	Pacers    int    `default:"1" help:"Threads that keep the time, in each process."`
	Single    bool   `name:"single-packets" help:"Write each packet by itself. Default: the packets of a frame are written together, as a browser does that has many."`
}

func (f *generatorFlags) validate(passwordFile string) error {
	switch {
	case f.Processes < 1 || f.Processes > 64:
		return usageError{fmt.Errorf("--processes %d: want 1 to 64", f.Processes)}
	case f.Pacers < 1 || f.Pacers > 64:
		return usageError{fmt.Errorf("--pacers %d: want 1 to 64", f.Pacers)}
	case f.Processes > 1 && passwordFile == "-":
		return usageError{errors.New("--processes: every process needs the password, so --proxy-password-file must be a file")}
	}
	_, err := f.part()
	return err
}

func (f *generatorFlags) part() (p loadgen.Part, err error) {
	if f.Part != "" {
		if p, err = loadgen.ParsePart(f.Part); err != nil {
			return p, usageError{fmt.Errorf("--part: %w", err)}
		}
	}
	if _, err := p.Split(0, f.Processes); err != nil && f.Processes > 1 {
		return p, usageError{fmt.Errorf("--part: %w", err)}
	}
	return p, nil
}

// apply makes the test's calls come from what the flags say.
func (f *generatorFlags) apply(lt *loadtest.Test, t *target) (err error) {
	lt.Pacers, lt.Single = f.Pacers, f.Single
	if lt.Part, err = f.part(); err != nil || f.Processes <= 1 {
		return err
	}
	var members *fleet.Fleet
	start := sync.OnceValue(func() (err error) {
		members, err = f.fleet(lt, t)
		return err
	})
	lt.Special = func(p loadgen.Profile) (loadtest.Load, error) {
		own := *lt
		own.Profile = p
		special, err := f.fleet(&own, t)
		if err != nil {
			return nil, err
		}
		return ownFleet{special.Load(false), special}, nil
	}
	lt.Loads = func(direct bool) (loadtest.Load, error) {
		if err := start(); err != nil {
			return nil, err
		}
		return members.Load(direct), nil
	}
	closeTarget := t.close
	t.close = func() error {
		if members != nil {
			return errors.Join(members.Close(), closeTarget())
		}
		return closeTarget()
	}
	return nil
}

// fleet starts the processes that share the calls of a test.
func (f *generatorFlags) fleet(lt *loadtest.Test, t *target) (*fleet.Fleet, error) {
	return fleet.Start(context.Background(), fleet.Config{
		Processes: f.Processes, Part: lt.Part, Args: []string{"load-member"},
		Spec: func(part loadgen.Part) any { return t.member(lt, part) },
	})
}

// An ownFleet is a load whose processes end with it.
type ownFleet struct {
	*fleet.Load
	processes *fleet.Fleet
}

// Close ends the processes.
func (o ownFleet) Close() error { return o.processes.Close() }

// preflight says what will keep this host from offering the load, before it is tried.
func (t *target) preflight(lt *loadtest.Test, steps []loadgen.Step, w io.Writer) error {
	problems, warnings := lt.Preflight(steps, t.generator.Processes, loadtest.ThisMachine())
	if t.probes.PID != 0 {
		if limit, used, err := loadtest.DescriptorsOf(t.probes.PID); err == nil {
			if most := (limit - used) / 2; slices.ContainsFunc(steps, func(s loadgen.Step) bool { return s.Calls > most }) {
				warnings = append(warnings, fmt.Sprintf("the proxy's process may have %d descriptors; a tunnel takes two, so that it carries %d tunnels at most", limit, most))
			}
		}
	}
	lt.Warnings = warnings
	for _, warning := range warnings {
		fmt.Fprintf(w, "turngate: warning: %s\n", warning)
	}
	if len(problems) > 0 {
		return voidError{fmt.Errorf("this host cannot offer that load: %s", strings.Join(problems, "; "))}
	}
	return nil
}

// A memberSpec is all that a generator process needs to know. It is written to its standard input.
type memberSpec struct {
	Proxy   proxyFlags
	Found   bool // by a PAC file: no password goes there in the clear
	TURN    turnSpec
	Profile loadgen.Profile
	Seed    uint64
	Part    loadgen.Part
	Pacers  int
	Single  bool
	Peer    netip.AddrPort
}

type turnSpec struct {
	Address, CA, User, Password string
	Secure                      bool
}

func (t *target) member(lt *loadtest.Test, part loadgen.Part) memberSpec {
	return memberSpec{
		Proxy: t.flags, Found: t.found, Profile: lt.Profile, Seed: lt.Seed, Part: part, Pacers: lt.Pacers, Single: lt.Single, Peer: lt.Peer,
		TURN: turnSpec{Address: t.turn.Address, Secure: t.turn.Secure, CA: t.turnCA, User: t.turn.User, Password: t.turn.Password},
	}
}

// loadMemberCmd is one of the processes of --processes.
type loadMemberCmd struct{}

// Run follows the orders on standard input. The signals of a terminal reach it, too; what they mean is
// for the process that gives the orders.
func (*loadMemberCmd) Run(std stdio) error {
	in := json.NewDecoder(std.in)
	var spec memberSpec
	if err := in.Decode(&spec); err != nil {
		return usageError{fmt.Errorf("load-member is started by turngate load --processes: %w", err)}
	}
	lt, err := spec.test()
	if err != nil {
		return err
	}
	direct, err := lt.Generator(true)
	if err != nil {
		return err
	}
	defer direct.Close()
	proxied, err := lt.Generator(false)
	if err != nil {
		return err
	}
	defer proxied.Close()
	return fleet.Serve(in, std.out, proxied, direct, loadtest.Rejected)
}

func (s *memberSpec) test() (*loadtest.Test, error) {
	dialer, err := s.Proxy.dialer(context.Background())
	if err != nil {
		return nil, err
	}
	if s.Found {
		dialer.AllowBasicOverHTTP = false
	}
	t := &target{dialer: dialer, generator: generatorFlags{Processes: 1, Pacers: s.Pacers, Single: s.Single}}
	t.turn = loadtest.TURN{Address: s.TURN.Address, Secure: s.TURN.Secure, User: s.TURN.User, Password: s.TURN.Password}
	if t.turn.TLS, err = credentials.Trust(s.TURN.CA); err != nil {
		return nil, err
	}
	lt, err := t.test(s.Profile, nil, s.Seed)
	if err == nil {
		lt.Part, lt.Peer = s.Part, s.Peer
	}
	return lt, err
}
