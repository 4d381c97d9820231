package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/service"
)

// serveCmd has a field for every setting of package service, as text: flags, environment and file
// are read by the same code there, so that all errors come at once and in the same words.
type serveCmd struct {
	Config      string `placeholder:"FILE" help:"Settings in YAML, the flags' names with _ for -."`
	CheckConfig bool   `help:"Check the settings and the files they name, and exit with 0 or 2."`

	Listen              []string `placeholder:"URL" help:"tcp://HOST:PORT, tls://HOST:PORT, or auto://HOST:PORT for both on one port. May be repeated."`
	Cert                string   `placeholder:"FILE" help:"Certificate chain for TLS, in PEM."`
	Key                 string   `placeholder:"FILE" help:"The certificate's key, in PEM."`
	Realm               string   `placeholder:"NAME" help:"What the credentials are valid for; your domain."`
	Users               string   `placeholder:"FILE" help:"Users: lines of name:password or name:0xKEY."`
	AuthSecretFile      string   `placeholder:"FILE" help:"Secrets of the TURN REST API: one per line, the newest first."`
	MaxCredentialTTL    string   `name:"max-credential-ttl" placeholder:"TIME" help:"Refuse REST credentials that expire later than that from now. Default any."`
	RelayIP             []string `name:"relay-ip" placeholder:"IP" help:"This host's address that peers send to; EXTERNAL/LOCAL behind a NAT. May be repeated."`
	RelayPorts          string   `placeholder:"FIRST-LAST" help:"UDP ports of the relays. Default 49152-65535."`
	AllowPeer           []string `placeholder:"CIDR" help:"Whom relays may exchange data with besides each other: a range, private or public. May be repeated. Default nobody."`
	DenyPeer            []string `placeholder:"CIDR" help:"Whom they may not, whoever is allowed. May be repeated."`
	InsideOnly          bool     `help:"Allow private peers, and nobody of the internet."`
	TCPRelays           bool     `name:"tcp-relays" help:"Relay TCP to peers, too (RFC 6062)."`
	OldChannels         bool     `help:"Accept the channel numbers of RFC 5766, for coturn's client."`
	ProxyProtocolFrom   []string `placeholder:"CIDR" help:"Load balancers whose connections begin with a PROXY header. May be repeated."`
	MaxConnections      string   `placeholder:"N" help:"Connections at a time. Default 10000."`
	MaxConnectionsPerIP string   `name:"max-connections-per-ip" placeholder:"N" help:"Connections of one address. A company comes from that of its proxy! Default any number."`
	MaxHandshakes       string   `placeholder:"N" help:"TLS handshakes at a time. Default 512."`
	MaxUserAllocations  string   `placeholder:"N" help:"Allocations of a user. Default any number."`
	MaxPermissions      string   `placeholder:"N" help:"Permissions of an allocation. Default 256."`
	MaxChannels         string   `placeholder:"N" help:"Channels of an allocation. Default 256."`
	MaxUserRate         string   `placeholder:"RATE" help:"Bits per second of a user, each way: 500k, 4M. Default any."`
	MaxTotalRate        string   `placeholder:"RATE" help:"Bits per second of all, each way: 500M, 1G. Default any."`
	MaxQueueDelay       string   `placeholder:"TIME" help:"Drop data that has waited longer for a slow client. Default 200ms."`
	HandshakeTimeout    string   `placeholder:"TIME" help:"For PROXY header and TLS handshake. Default 10s."`
	RequestTimeout      string   `placeholder:"TIME" help:"How long a client may stay without an allocation. Default 1m."`
	WriteTimeout        string   `placeholder:"TIME" help:"How long a client may take no data at all. Default 10s."`
	DrainTimeout        string   `placeholder:"TIME" help:"How long calls may go on after SIGTERM. Default 30s."`
	Audit               string   `placeholder:"FILE" help:"Append who allocated what, as lines of JSON; - is standard output."`
	Metrics             string   `placeholder:"HOST:PORT" help:"Serve Prometheus metrics at /metrics, and /healthz and /readyz. Default nowhere."`
	AuditStrict         bool     `help:"Refuse new allocations while records of the audit log are lost or cannot be written."`
	Control             string   `placeholder:"PATH" help:"Unix socket for turngate sessions, in a directory that only the server's user may enter. Default none."`
	LogFormat           string   `placeholder:"FORMAT" help:"text (default) or json, on standard error."`
	LogLevel            string   `placeholder:"LEVEL" help:"debug, info (default), warn or error."`
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
		case bool:
			flags[p.Flag.Name] = []string{strconv.FormatBool(v)}
		case []string:
			flags[p.Flag.Name] = v
		}
	}
	return flags
}
