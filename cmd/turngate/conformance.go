package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/turngate/turngate/harness/conformance"
	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
)

type conformanceCmd struct {
	TURN               string        `name:"turn" placeholder:"URI" help:"turn:HOST:PORT?transport=tcp or turns:HOST:PORT."`
	User               string        `placeholder:"USER" help:"User of the TURN server."`
	PasswordFile       string        `placeholder:"FILE" help:"File with the password on its first line; - is standard input. Else $$TURNGATE_TURN_PASSWORD."`
	CA                 string        `name:"ca" placeholder:"FILE" help:"PEM certificates to trust for turns. Default: the system's."`
	SecondUser         string        `placeholder:"USER" help:"Another user, for the tests of one user meddling with another's allocation."`
	SecondPasswordFile string        `placeholder:"FILE" help:"The other user's password."`
	PeerIP             netip.Addr    `name:"peer-ip" placeholder:"IP" help:"IPv4 address of this machine that the server relays to. Default: the peers are allocations on the server."`
	ForbiddenPeer      netip.Addr    `placeholder:"IP" help:"Address that the server must refuse as a peer. Default: 0.0.0.1."`
	Only               []string      `placeholder:"PATTERN,..." help:"Only tests whose ids match: 'allocate.*'."`
	Slow               bool          `help:"Also what waits for permissions, channels and allocations to expire: 11 minutes."`
	Timeout            time.Duration `default:"5s" help:"For an answer; after that there is none."`
	Parallel           int           `default:"8" help:"Tests at a time."`
	List               bool          `help:"List the tests and end."`
	JSON               string        `name:"json" placeholder:"FILE" help:"Write the report as JSON; - is standard output."`
	JUnit              string        `name:"junit" placeholder:"FILE" help:"Write the report as JUnit XML."`
	Markdown           string        `placeholder:"FILE" help:"Append a summary in Markdown."`
	Quiet              bool          `short:"q" help:"No progress on standard error."`
}

// Help is shown by turngate conformance --help.
func (conformanceCmd) Help() string {
	return `Asks a TURN server over TCP or TLS, one small test for each demand, whether it does what RFC 8656, 8489 and
6062 demand. Any server, as a black box; it takes some 50 allocations, and up to 24 at a time by one user. Exit status 0
if no MUST failed, 1 if one did, 3 if the server cannot be used at all. Docs: docs/conformance.md.

  turngate conformance --turn 'turn:turn.corp:3478?transport=tcp' --user u --password-file ~/.turn-password
  turngate conformance --turn turns:turn.corp:443 --user u --password-file f --only 'channel.*,permission.*' --slow`
}

// Run puts the tests to the server.
func (c *conformanceCmd) Run(ctx context.Context, std stdio) error {
	if c.List {
		return c.list(std.out)
	}
	target, options, err := c.settings()
	if err != nil {
		return err
	}
	out, err := c.open(std)
	if err != nil {
		return err
	}
	defer out.close()
	if !c.Quiet {
		options.Progress = func(done, all int, r conformance.Result) {
			fmt.Fprintf(std.err, "%3d/%d  %-11s  %s\n", done, all, r.Outcome, r.ID)
		}
	}
	report, err := conformance.Run(ctx, target, options)
	if err != nil {
		return conformanceError(std.err, err)
	}
	if err := out.write(report); err != nil {
		return err
	}
	switch report.Verdict {
	case conformance.Violates:
		return outcome(exitFail)
	case conformance.NotDecided:
		return outcome(exitVoid)
	}
	return nil
}

// conformanceError is the error of a run that did not take place.
func conformanceError(stderr io.Writer, err error) error {
	var unusable *conformance.UnusableError
	if !errors.As(err, &unusable) {
		return usageError{err}
	}
	fmt.Fprintf(stderr, "turngate: %v\n", err)
	for _, line := range unusable.Result.Trace {
		fmt.Fprintf(stderr, "  %s\n", line)
	}
	fmt.Fprintln(stderr, "hint: address, user name and password must be right before anything can be judged: turngate check")
	return outcome(exitVoid)
}

func (c *conformanceCmd) list(w io.Writer) error {
	tests, err := conformance.Select(conformance.Tests(), c.Only, true)
	if err != nil {
		return usageError{fmt.Errorf("--only: %w", err)}
	}
	for _, t := range tests {
		slow := ""
		if t.Slow {
			slow = " (slow)"
		}
		fmt.Fprintf(w, "%-30s %-6s %-16s %s%s\n", t.ID, t.Level, t.Section, t.Text, slow)
	}
	return nil
}

// settings are what the flags say. Their errors are usage errors.
func (c *conformanceCmd) settings() (target conformance.Target, options conformance.Options, err error) {
	if c.Timeout <= 0 || c.Timeout > time.Minute || c.Parallel < 1 || c.Parallel > 64 {
		return target, options, usageError{errors.New("want --timeout up to 1m and --parallel from 1 to 64")}
	}
	turn, err := diagnosis.ParseTURN(c.TURN)
	if err != nil {
		return target, options, usageError{fmt.Errorf("--turn: %w", err)}
	}
	target = conformance.Target{
		Address: turn.Address, User: c.User, SecondUser: c.SecondUser, PeerAddress: c.PeerIP, ForbiddenPeer: c.ForbiddenPeer,
	}
	if turn.Secure {
		if target.TLS, err = credentials.Trust(c.CA); err != nil {
			return target, options, usageError{fmt.Errorf("--ca: %w", err)}
		}
		if target.TLS == nil {
			target.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // which trusts whom the system trusts
		}
	}
	if err := c.passwords(&target); err != nil {
		return target, options, usageError{err}
	}
	return target, conformance.Options{Run: c.Only, Slow: c.Slow, Timeout: c.Timeout, Parallel: c.Parallel}, nil
}

func (c *conformanceCmd) passwords(target *conformance.Target) (err error) {
	if c.User == "" {
		return errors.New("--user is missing")
	}
	target.Password = credentials.Secret(os.Getenv(turnPasswordVariable))
	if c.PasswordFile != "" {
		if target.Password, err = credentials.ReadSecret(c.PasswordFile); err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
	}
	if target.Password == "" {
		return fmt.Errorf("the password is missing: --password-file or $%s", turnPasswordVariable)
	}
	if (c.SecondUser == "") != (c.SecondPasswordFile == "") {
		return errors.New("--second-user and --second-password-file belong together")
	}
	if c.SecondUser == c.User {
		return errors.New("--second-user must be another than --user")
	}
	if c.SecondPasswordFile != "" {
		if target.SecondPassword, err = credentials.ReadSecret(c.SecondPasswordFile); err != nil {
			return fmt.Errorf("--second-password-file: %w", err)
		}
	}
	return nil
}

// conformanceOutputs are the files to write, opened before the run, so that a wrong path costs none.
type conformanceOutputs struct {
	text io.Writer
	list []conformanceOutput
}

type conformanceOutput struct {
	w      io.Writer
	file   *os.File // nil for standard output
	render func(io.Writer, conformance.Report) error
}

func (c *conformanceCmd) open(std stdio) (*conformanceOutputs, error) {
	o := &conformanceOutputs{text: std.out}
	for _, out := range []struct {
		flag, path string
		how        int
		render     func(io.Writer, conformance.Report) error
	}{
		{"--json", c.JSON, os.O_TRUNC, conformance.JSON},
		{"--junit", c.JUnit, os.O_TRUNC, conformance.JUnit},
		{"--markdown", c.Markdown, os.O_APPEND, conformance.Markdown},
	} {
		switch out.path {
		case "":
		case "-":
			o.text = std.err // standard output is a document's
			o.list = append(o.list, conformanceOutput{w: std.out, render: out.render})
		default:
			file, err := os.OpenFile(out.path, os.O_WRONLY|os.O_CREATE|out.how, 0o666)
			if err != nil {
				o.close()
				return nil, usageError{fmt.Errorf("%s: %w", out.flag, err)}
			}
			o.list = append(o.list, conformanceOutput{file, file, out.render})
		}
	}
	return o, nil
}

// write renders the report everywhere, whatever fails on the way.
func (o *conformanceOutputs) write(r conformance.Report) error {
	errs := []error{conformance.Text(o.text, r)}
	for _, out := range o.list {
		errs = append(errs, out.render(out.w, r))
	}
	return errors.Join(errs...)
}

func (o *conformanceOutputs) close() {
	for _, out := range o.list {
		if out.file != nil {
			out.file.Close()
		}
	}
}
