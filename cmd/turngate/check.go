package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
)

type checkCmd struct {
	proxyFlags
	TURN             string          `name:"turn" required:"" placeholder:"URI" help:"turns:HOST:PORT or turn:HOST:PORT?transport=tcp."`
	TURNUser         string          `name:"turn-user" required:"" placeholder:"USER" help:"User of the TURN server."`
	TURNPasswordFile string          `name:"turn-password-file" placeholder:"FILE" help:"File with the TURN password on its first line; - is standard input. Else $$TURNGATE_TURN_PASSWORD."`
	TURNCA           string          `name:"turn-ca" placeholder:"FILE" help:"PEM certificates to trust for turns. Default: the system's."`
	Timeout          time.Duration   `default:"10s" help:"For each stage; three times as long for authentication and media."`
	JSON             string          `name:"json" placeholder:"FILE" help:"Write facts and findings as JSON; - is standard output."`
	Quick            bool            `help:"End when datagrams have come back, without asking how well: no quality, throughput, packet sizes."`
	Idle             []time.Duration `placeholder:"DURATION,..." help:"Be silent for so long, and look whether the tunnel is still there; from the shortest to the longest: 15s,1m,5m."`
	Lifetime         time.Duration   `placeholder:"DURATION" help:"Then send every second for so long, and look whether the tunnel is cut."`
	Verbose          bool            `short:"v" help:"Also every request, mechanism, certificate."`
}

// Help is shown by turngate check --help.
func (checkCmd) Help() string {
	return `Walks the path of TURN through the proxy stage by stage, says why it fails and what to do about it. A
rejected password is not tried again by another mechanism. Exit status 0 only when a datagram came back.
Docs: docs/check.md.

  turngate check --proxy http://proxy.corp:8080 --auth ntlm --proxy-user 'CORP\alice'
      --proxy-password-file ~/.proxy-password --turn 'turns:turn.corp:443?transport=tcp'
      --turn-user u --turn-password-file ~/.turn-password`
}

const turnPasswordVariable = "TURNGATE_TURN_PASSWORD"

// Run walks the path and prints what it saw.
func (c *checkCmd) Run(ctx context.Context, std stdio) error {
	if c.Timeout <= 0 || c.Timeout > 10*time.Minute {
		return usageError{fmt.Errorf("--timeout %v: want more than 0 and at most 10m", c.Timeout)}
	}
	if err := c.slowProbes(); err != nil {
		return err
	}
	check, err := c.check()
	if err != nil {
		return err
	}
	text, document, err := c.outputs(std)
	if err != nil {
		return err
	}
	defer document.close()
	fmt.Fprintf(text, "turngate check: %s through %s\n\n", c.TURN, check.Dialer.Proxy)
	check.Progress = func(s diagnosis.Stage) {
		if s.Outcome != diagnosis.NotReached {
			fmt.Fprintln(text, s.Line())
		}
	}
	report := check.Run(ctx)
	findings := diagnosis.Explain(report)
	diagnosis.WriteDirect(text, report.Direct)
	if c.Verbose {
		diagnosis.WriteDetails(text, &report)
	}
	diagnosis.WriteFindings(text, &report, findings)
	if err := document.write(report, findings); err != nil {
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

// slowProbes checks their flags.
func (c *checkCmd) slowProbes() error {
	for i, d := range c.Idle {
		if d <= 0 || d > 24*time.Hour || i > 0 && d <= c.Idle[i-1] {
			return usageError{fmt.Errorf("--idle %v: want durations up to 24h, each longer than the one before", d)}
		}
	}
	if c.Lifetime < 0 || c.Lifetime > 24*time.Hour {
		return usageError{fmt.Errorf("--lifetime %v: want up to 24h", c.Lifetime)}
	}
	return nil
}

// check is what the flags describe. Its errors are usage errors.
func (c *checkCmd) check() (*diagnosis.Check, error) {
	if c.ProxyPasswordFile == "-" && c.TURNPasswordFile == "-" {
		return nil, usageError{errors.New("--turn-password-file: standard input holds the proxy's password")}
	}
	t, err := diagnosis.ParseTURN(c.TURN)
	if err != nil {
		return nil, usageError{fmt.Errorf("--turn: %w", err)}
	}
	d, err := c.dialer()
	if err != nil {
		return nil, err
	}
	d.ALPN = []string{"stun.turn"}
	t.User, t.Password = c.TURNUser, credentials.Secret(os.Getenv(turnPasswordVariable))
	if c.TURNPasswordFile != "" {
		if t.Password, err = credentials.ReadSecret(c.TURNPasswordFile); err != nil {
			return nil, usageError{fmt.Errorf("--turn-password-file: %w", err)}
		}
	}
	if t.Password == "" {
		return nil, usageError{fmt.Errorf("the TURN password is missing: --turn-password-file or $%s", turnPasswordVariable)}
	}
	if t.TLS, err = credentials.Trust(c.TURNCA); err != nil {
		return nil, usageError{fmt.Errorf("--turn-ca: %w", err)}
	}
	return &diagnosis.Check{Dialer: d, TURN: t, Timeout: c.Timeout, Quick: c.Quick, Idle: c.Idle, Lifetime: c.Lifetime}, nil
}

// outputs are opened before the walk, so that a wrong path costs none. Where the document goes to
// standard output the text goes to standard error.
func (c *checkCmd) outputs(std stdio) (text io.Writer, d checkDocument, err error) {
	switch c.JSON {
	case "":
		return std.out, d, nil
	case "-":
		return std.err, checkDocument{w: std.out}, nil
	}
	file, err := os.Create(c.JSON)
	if err != nil {
		return nil, d, usageError{fmt.Errorf("--json: %w", err)}
	}
	return std.out, checkDocument{file, file}, nil
}

// A checkDocument is where the JSON goes, if anywhere.
type checkDocument struct {
	w    io.Writer
	file *os.File
}

func (d checkDocument) write(r diagnosis.Report, findings []diagnosis.Finding) error {
	if d.w == nil {
		return nil
	}
	if findings == nil {
		findings = []diagnosis.Finding{}
	}
	e := json.NewEncoder(d.w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		diagnosis.Report
		Through  bool                `json:"through"`
		Verdict  string              `json:"verdict"`
		Findings []diagnosis.Finding `json:"findings"`
	}{r, r.Through(), r.Verdict(), findings})
}

func (d checkDocument) close() {
	if d.file != nil {
		d.file.Close()
	}
}
