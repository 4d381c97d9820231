package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

type connectCmd struct {
	proxyFlags
	findFlags
	Timeout time.Duration `default:"30s" help:"For the way to the tunnel; a tunnel that stands lasts as long as it likes."`
	Target  string        `arg:"" placeholder:"HOST:PORT" help:"Where the proxy is asked to connect to."`
}

// Help is shown by turngate connect --help.
func (connectCmd) Help() string {
	return `Standard input goes into the tunnel, what comes out goes to standard output. The end of input is
passed on; the command ends when the other side closes.

  ssh -o ProxyCommand='turngate connect --proxy http://proxy.corp:8080 --auth kerberos %h:%p' host`
}

// Run joins standard input and output to the tunnel.
func (c *connectCmd) Run(ctx context.Context, std stdio) error {
	if _, _, err := net.SplitHostPort(c.Target); err != nil {
		return usageError{fmt.Errorf("%s: want HOST:PORT", c.Target)}
	}
	if c.ProxyPasswordFile == "-" {
		return usageError{errors.New("--proxy-password-file: standard input belongs to the tunnel")}
	}
	conn, err := c.open(ctx)
	if err != nil {
		return err
	}
	return join(ctx, conn, std.in, std.out)
}

// open finds the way to the target and takes it.
func (c *connectCmd) open(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	found, err := c.find(ctx, &c.proxyFlags, c.Target)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, &c.proxyFlags, found, c.Target)
}

// join copies both ways until the tunnel's other side closes or ctx ends. The goroutine that reads in
// is left behind when it is blocked there: nothing can end a read of standard input.
func join(ctx context.Context, conn net.Conn, in io.Reader, out io.Writer) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	go func() {
		// An error here shows on the other direction, too.
		_, _ = io.Copy(conn, in)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, err := io.Copy(out, conn)
	if ctx.Err() != nil {
		return outcome(exitVoid) // the user knows
	}
	return err
}
