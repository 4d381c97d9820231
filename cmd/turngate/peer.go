package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/turngate/turngate/harness/loadgen"
)

type peerCmd struct {
	Listen string   `required:"" placeholder:"HOST:PORT" help:"UDP address to answer at; the TURN server must be allowed to relay to it."`
	Allow  []string `placeholder:"IP|CIDR,..." help:"Whom to answer: the addresses that the TURN server relays from. Default, on a loopback address: loopback."`
}

// Help is shown by turngate peer --help.
func (peerCmd) Help() string {
	return `The other end of the calls of turngate load --peer and size --peer: it sends back each packet of such a run, with as many bytes, to
where it came from, and answers nothing else and nobody else. It ends at ^C, with a line of what it did; 1 if it failed.
Docs: docs/load.md.

  turngate peer --listen 192.0.2.20:3481 --allow 192.0.2.10
  turngate load --peer 192.0.2.20:3481 --proxy http://proxy.corp:8080 --turn turns:turn.corp:443 --turn-user u`
}

// Run answers until ctx ends.
func (c *peerCmd) Run(ctx context.Context, std stdio) error {
	allow, err := c.allowed()
	if err != nil {
		return err
	}
	p, err := loadgen.ListenEcho(c.Listen, allow)
	if err != nil {
		return usageError{fmt.Errorf("--listen: %w", err)}
	}
	defer p.Close()
	fmt.Fprintf(std.out, "answering packets of turngate load from %v at udp %v; ^C ends it\n", allow, p.Addr())
	err = p.Serve(ctx)
	fmt.Fprintln(std.out, echoLine(p.Counts()))
	return err
}

// allowed are the prefixes of --allow.
func (c *peerCmd) allowed() (list []netip.Prefix, err error) {
	for _, text := range c.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, usageError{fmt.Errorf("--allow %s: want an address, or a range like 192.0.2.0/24", text)}
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		list = append(list, p.Masked())
	}
	if len(list) > 0 {
		return list, nil
	}
	at, err := net.ResolveUDPAddr("udp", c.Listen)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	if !at.IP.IsLoopback() {
		return nil, usageError{errors.New("--allow is needed: the address that the TURN server relays from, lest anybody be answered")}
	}
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, nil
}

// echoLine says what a peer has done.
func echoLine(c loadgen.EchoCounts) string {
	line := fmt.Sprintf("echoed %d packets, %d bytes; not answered: %d from addresses that --allow does not name, %d that are not of turngate load",
		c.Echoed, c.Bytes, c.Strangers, c.Others)
	if c.Unsent > 0 {
		line += fmt.Sprintf("; %d answers could not be sent", c.Unsent)
	}
	if c.Dropped > 0 {
		line += fmt.Sprintf("; %d were dropped by the system, since this host was too slow or net.core.rmem_max too small", c.Dropped)
	}
	return line
}
