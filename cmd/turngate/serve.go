package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/service"
)

// serveCmd has a field for every setting of package service, as text: flags, environment and file
// are read by the same code there, so that all errors come at once and in the same words.
type serveCmd struct {
	Config      string `placeholder:"FILE" help:"Settings in YAML, the flags' names with _ for -."`
	CheckConfig bool   `help:"Check the settings and the files they name, and exit with 0 or 2."`

	Listen         []string `placeholder:"URL" help:"tcp://HOST:PORT or tls://HOST:PORT. May be repeated."`
	Cert           string   `placeholder:"FILE" help:"Certificate chain for TLS, in PEM."`
	Key            string   `placeholder:"FILE" help:"The certificate's key, in PEM."`
	Realm          string   `placeholder:"NAME" help:"What the credentials are valid for; your domain."`
	Users          string   `placeholder:"FILE" help:"Users: lines of name:password."`
	AuthSecretFile string   `placeholder:"FILE" help:"Secrets of the TURN REST API: one per line, the newest first."`
	RelayIP        string   `name:"relay-ip" placeholder:"IP" help:"This host's IPv4 address that peers send to."`
	RelayPorts     string   `placeholder:"FIRST-LAST" help:"UDP ports of the relays. Default 49152-65535."`
	AllowPeer      []string `placeholder:"CIDR" help:"Whom relays may exchange data with besides each other. May be repeated. Default nobody."`
	MaxConnections string   `placeholder:"N" help:"Connections at a time. Default 10000."`
	MaxQueueDelay  string   `placeholder:"TIME" help:"Drop data that has waited longer for a slow client. Default 200ms."`
	DrainTimeout   string   `placeholder:"TIME" help:"How long calls may go on after SIGTERM. Default 30s."`
	Audit          string   `placeholder:"FILE" help:"Append who allocated what, as lines of JSON; - is standard output."`
	LogFormat      string   `placeholder:"FORMAT" help:"text (default) or json, on standard error."`
	LogLevel       string   `placeholder:"LEVEL" help:"debug, info (default), warn or error."`
}

// Help is shown by turngate serve --help.
func (serveCmd) Help() string {
	return `Every flag is an environment variable, too (--relay-ports is TURNGATE_RELAY_PORTS, several values with
commas), and a key of the configuration file (relay_ports). A flag wins over the environment, which wins
over the file. SIGHUP reads users, secrets and certificate again; SIGTERM lets calls finish, a second one
does not. Docs: docs/server.md.

  turngate serve --listen tls://:443 --cert fullchain.pem --key privkey.pem --realm example.com
      --auth-secret-file secrets --relay-ip 192.0.2.1 --allow-peer 10.0.0.0/8
  turngate serve --config /etc/turngate/turngate.yaml --check-config`
}

// Run serves until signals end it.
func (c *serveCmd) Run(ctx context.Context, std stdio, k *kong.Context) error {
	signals := make(chan os.Signal, 8)
	if !c.CheckConfig {
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
		defer signal.Stop(signals)
		// Who reads the log may end before us. Go would then end us, too, at the next line.
		signal.Ignore(syscall.SIGPIPE)
		defer signal.Reset(syscall.SIGPIPE)
	}
	cfg, err := service.Load(service.Sources{Flags: givenFlags(k), Env: os.Getenv, File: c.configFile()})
	if err != nil {
		return usageError{err}
	}
	if c.CheckConfig {
		for _, w := range cfg.Warnings {
			fmt.Fprintf(std.err, "turngate: warning: %s\n", w)
		}
		fmt.Fprintln(std.out, "the configuration is good")
		return nil
	}
	if err := ctx.Err(); err != nil { // a signal that came before ours were set up
		return err
	}
	// The signals say more than ctx, which the first of them ends.
	return service.Serve(context.WithoutCancel(ctx), cfg, service.Process{Stdout: std.out, Stderr: std.err, Signals: signals})
}

func (c *serveCmd) configFile() string {
	if c.Config != "" {
		return c.Config
	}
	return os.Getenv("TURNGATE_CONFIG")
}

// givenFlags are the flags of the command line, without those that have their default.
func givenFlags(k *kong.Context) map[string][]string {
	flags := make(map[string][]string)
	for _, p := range k.Path {
		if p.Flag == nil {
			continue
		}
		switch v := k.FlagValue(p.Flag).(type) {
		case string:
			flags[p.Flag.Name] = []string{v}
		case []string:
			flags[p.Flag.Name] = v
		}
	}
	return flags
}
