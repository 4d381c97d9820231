package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/turngate/turngate/service"
)

// sessionsCmd asks a running server for its allocations, or closes some.
type sessionsCmd struct {
	Control  string   `env:"TURNGATE_CONTROL" default:"/run/turngate/control" placeholder:"PATH" help:"The server's control socket. Default ${default}."`
	User     string   `placeholder:"NAME" help:"Only this user's."`
	Client   string   `placeholder:"ADDR" help:"Only from this client, or by this proxy: ADDRESS, ADDRESS:PORT or a range (CIDR)."`
	Relay    string   `placeholder:"ADDR" help:"Only those with this relay."`
	Peer     string   `placeholder:"ADDR" help:"Only those that may exchange data with this peer."`
	JSON     bool     `help:"Print all that is known, each peer included."`
	Kill     []uint64 `placeholder:"N" help:"Close the connection of this number. May be repeated."`
	KillUser string   `placeholder:"NAME" help:"Close all connections on which this user has an allocation."`
}

// Help is shown by turngate sessions --help.
func (sessionsCmd) Help() string {
	return `Only root and the server's own user may ask. A client that was killed may come again: to keep a user out,
take him out of the users file and reload the server first. Exit status 1: the server cannot be asked, or what is
to be killed is not there. Docs: docs/server.md.

  turngate sessions --user alice
  turngate sessions --peer 10.20.0.0/16 --json
  turngate sessions --kill 17`
}

// sessionsTimeout is for the whole conversation with the server.
const sessionsTimeout = 30 * time.Second

// Run prints or kills.
func (c *sessionsCmd) Run(ctx context.Context, std stdio) error {
	ctx, cancel := context.WithTimeout(ctx, sessionsTimeout)
	defer cancel()
	server := service.Control{Path: c.Control}
	filter := service.Filter{User: c.User, Client: c.Client, Relay: c.Relay, Peer: c.Peer}
	switch kills := len(c.Kill) > 0 || c.KillUser != ""; {
	case kills && (c.JSON || filter != service.Filter{}):
		return usageError{fmt.Errorf("--kill and --kill-user go with no other choice")}
	case kills:
		return c.kill(ctx, server, std.out)
	}
	if err := filter.Check(); err != nil {
		return usageError{err}
	}
	sessions, err := server.Sessions(ctx, filter)
	if err != nil {
		return err
	}
	slices.SortFunc(sessions, func(a, b service.Session) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), a.Created.Compare(b.Created))
	})
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", "  ")
		return e.Encode(sessions)
	}
	return printSessions(std.out, sessions)
}

func (c *sessionsCmd) kill(ctx context.Context, server service.Control, out io.Writer) error {
	for _, connection := range c.Kill {
		n, err := server.Kill(ctx, connection)
		switch {
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("there is no connection %d", connection)
		}
		fmt.Fprintf(out, "killed connection %d\n", connection)
	}
	if c.KillUser == "" {
		return nil
	}
	n, err := server.KillUser(ctx, c.KillUser)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("%s has no allocation", visible(c.KillUser))
	}
	fmt.Fprintf(out, "killed %d connections of %s\n", n, visible(c.KillUser))
	return nil
}

func printSessions(out io.Writer, sessions []service.Session) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tUSER\tCLIENT\tBY\tRELAY\tAGE\tUP\tDOWN\tDROPPED\tRTT\tPEERS")
	for _, s := range sessions {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%v\t%s\t%s\t%d\t%s\t%s\n", s.Connection, visible(s.User), client(s), s.Transport,
			s.Relay, time.Duration(s.Seconds*float64(time.Second)).Round(time.Second), size(s.Up.Bytes), size(s.Down.Bytes),
			dropped(s), roundTrip(s), peerList(s.Peers))
	}
	return w.Flush()
}

// visible keeps what a user calls himself from speaking to the terminal.
func visible(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.ContainsAny(name, " \t") {
		return quoted
	}
	return name
}

func client(s service.Session) string {
	if s.Announced != "" {
		return s.Announced
	}
	return s.Client
}

func dropped(s service.Session) (n uint64) {
	for _, d := range s.Drops {
		n += d
	}
	return n
}

func roundTrip(s service.Session) string {
	if s.TCP == nil {
		return "-"
	}
	return fmt.Sprintf("%.1fms", s.TCP.RTT)
}

// shownPeers is how many stand in a line of the table.
const shownPeers = 3

func peerList(peers []service.PeerUsage) string {
	var names []string
	for _, p := range peers[:min(len(peers), shownPeers)] {
		names = append(names, p.Peer)
	}
	if more := len(peers) - shownPeers; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, " ")
}

func size(bytes uint64) string {
	v := float64(bytes)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g%s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3gTB", v)
}
