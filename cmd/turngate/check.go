package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/proxyfind"
)

type checkCmd struct {
	proxyFlags
	findFlags
	TURN             string          `name:"turn" required:"" placeholder:"URI" help:"turns:HOST:PORT or turn:HOST:PORT?transport=tcp."`
	TURNUser         string          `name:"turn-user" required:"" placeholder:"USER" help:"User of the TURN server."`
	TURNPasswordFile string          `name:"turn-password-file" placeholder:"FILE" help:"File with the TURN password on its first line; - is standard input. Else $$TURNGATE_TURN_PASSWORD."`
	TURNCA           string          `name:"turn-ca" placeholder:"FILE" help:"PEM certificates to trust for turns. Default: the system's."`
	TURNFingerprint  string          `name:"turn-fingerprint" placeholder:"sha256:HEX" help:"SHA-256 of the server's public key; another key fails the check, whoever has signed it. --verbose prints it."`
	Timeout          time.Duration   `default:"10s" help:"For each stage; three times as long for authentication and media."`
	JSON             string          `name:"json" placeholder:"FILE" help:"Write facts and findings as JSON; - is standard output."`
	JUnit            string          `name:"junit" placeholder:"FILE" help:"Write the stages as test cases for a CI system."`
	Bundle           string          `placeholder:"FILE" help:"Write everything, and facts about this machine, into FILE.tar.gz to send to support. It holds names and addresses, no secret."`
	TryAll           bool            `help:"Try each mechanism by itself. A wrong password then costs one attempt for each that uses it!"`
	Quick            bool            `help:"End when datagrams have come back, without asking how well: no quality, throughput, packet sizes."`
	Idle             []time.Duration `placeholder:"DURATION,..." help:"Be silent for so long, and look whether the tunnel is still there; from the shortest to the longest: 15s,1m,5m."`
	Policy           bool            `help:"Also ask for tunnels to ports 443, 3478 and 5349 and to the server's address, to learn the proxy's rules."`
	Reconnect        int             `placeholder:"N" help:"End a tunnel N times and make another one, and say how long that takes."`
	Lifetime         time.Duration   `placeholder:"DURATION" help:"Then send every second for so long, and look whether the tunnel is cut."`
	Every            time.Duration   `placeholder:"DURATION" help:"Look again so often until interrupted, and print a line each time."`
	Metrics          string          `placeholder:"HOST:PORT" help:"With --every: serve the last look's figures to Prometheus at /metrics."`
	Targets          targetsFile     `placeholder:"FILE" help:"Look at several paths: a YAML list whose items have these flags as keys, with _ for -, and a name. The flags given here hold for all."`
	Verbose          bool            `short:"v" help:"Also every request, mechanism, certificate."`
}

// Help is shown by turngate check --help.
func (checkCmd) Help() string {
	return `Walks the path of TURN through the proxy stage by stage, says why it fails and what to do about it. A
rejected password is not tried again by another mechanism. Exit status 0 only when a datagram came back.
Docs: docs/check.md.

  turngate check --proxy http://proxy.corp:8080 --auth ntlm --proxy-user 'CORP\alice'
      --proxy-password-file ~/.proxy-password --turn 'turns:turn.corp:443?transport=tcp'
      --turn-user u --turn-password-file ~/.turn-password
  turngate check --targets targets.yaml --every 1m --metrics 127.0.0.1:9100`
}

const turnPasswordVariable = "TURNGATE_TURN_PASSWORD"

// Run walks the path and prints what it saw.
func (c *checkCmd) Run(ctx context.Context, std stdio, k *kong.Context) error {
	if c.watches() {
		return c.watch(ctx, std, k)
	}
	if err := c.valid(); err != nil {
		return err
	}
	check, err := c.check(ctx)
	if err != nil {
		return err
	}
	text, files, err := c.outputs(std)
	if err != nil {
		return err
	}
	defer files.close()
	title := c.TURN
	if c.Proxy != "" {
		title += " through " + c.Proxy
	}
	fmt.Fprintf(text, "turngate check: %s\n\n", title)
	check.Progress = func(s diagnosis.Stage) {
		if s.Outcome != diagnosis.NotReached {
			fmt.Fprintln(text, s.Line())
		}
	}
	report := check.Run(ctx)
	findings := diagnosis.Explain(report)
	diagnosis.WritePolicy(text, report.Policy)
	diagnosis.WriteDirect(text, report.Direct)
	if c.Verbose {
		diagnosis.WriteDetails(text, &report)
	}
	diagnosis.WriteFindings(text, &report, findings)
	diagnosis.WriteBrowsers(text, report)
	if err := files.write(report, findings); err != nil {
		return err
	}
	switch {
	case report.Interrupted:
		return outcome(exitVoid)
	case !report.Through():
		return outcome(exitFail)
	}
	return nil
}

// valid checks the flags that need no file.
func (c *checkCmd) valid() error {
	if c.Timeout <= 0 || c.Timeout > 10*time.Minute {
		return usageError{fmt.Errorf("--timeout %v: want more than 0 and at most 10m", c.Timeout)}
	}
	if c.TURNUser == "" {
		return usageError{errors.New("--turn-user is missing")}
	}
	for i, d := range c.Idle {
		if d <= 0 || d > 24*time.Hour || i > 0 && d <= c.Idle[i-1] {
			return usageError{fmt.Errorf("--idle %v: want durations up to 24h, each longer than the one before", d)}
		}
	}
	if c.Reconnect < 0 || c.Reconnect > 100 {
		return usageError{fmt.Errorf("--reconnect %d: want up to 100", c.Reconnect)}
	}
	if c.Lifetime < 0 || c.Lifetime > 24*time.Hour {
		return usageError{fmt.Errorf("--lifetime %v: want up to 24h", c.Lifetime)}
	}
	return nil
}

// check is what the flags describe. Its errors are usage errors.
func (c *checkCmd) check(ctx context.Context) (*diagnosis.Check, error) {
	if c.ProxyPasswordFile == "-" && c.TURNPasswordFile == "-" {
		return nil, usageError{errors.New("--turn-password-file: standard input holds the proxy's password")}
	}
	t, err := diagnosis.ParseTURN(c.TURN)
	if err != nil {
		return nil, usageError{fmt.Errorf("--turn: %w", err)}
	}
	finder, err := c.proxyFinder(ctx, &c.proxyFlags, t.Address)
	if err != nil {
		return nil, err
	}
	finder.Timeout = min(c.Timeout, proxyfind.DefaultTimeout)
	t.User, t.Password = c.TURNUser, credentials.Secret(os.Getenv(turnPasswordVariable))
	if c.TURNPasswordFile != "" {
		if t.Password, err = credentials.ReadSecret(c.TURNPasswordFile); err != nil {
			return nil, usageError{fmt.Errorf("--turn-password-file: %w", err)}
		}
	}
	if t.Password == "" && c.Ask {
		if t.Password, err = ask(ctx, "password of "+t.User+" for the TURN server"); err != nil {
			return nil, err
		}
	}
	if t.Password == "" {
		return nil, usageError{fmt.Errorf("the TURN password is missing: --turn-password-file or $%s", turnPasswordVariable)}
	}
	if t.TLS, err = credentials.Trust(c.TURNCA); err != nil {
		return nil, usageError{fmt.Errorf("--turn-ca: %w", err)}
	}
	if c.TURNFingerprint != "" {
		if t.Pin, err = diagnosis.ParsePin(c.TURNFingerprint); err != nil {
			return nil, usageError{fmt.Errorf("--turn-fingerprint: %w", err)}
		}
		if !t.Secure {
			return nil, usageError{errors.New("--turn-fingerprint: the URI must be turns:, for a turn: server shows no key")}
		}
	}
	return &diagnosis.Check{Find: finder, TURN: t, Timeout: c.Timeout, TryAll: c.TryAll, Policy: c.Policy, Reconnect: c.Reconnect, Quick: c.Quick, Idle: c.Idle, Lifetime: c.Lifetime}, nil
}
