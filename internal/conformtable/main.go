// Conformtable puts turngate, Debian's coturn and stock pion/turn to the conformance suite, each over TCP and over
// TLS, and writes the table of the results into docs/conformance.md.
//
//	go run ./internal/conformtable -slow -write docs/conformance.md     11 minutes
//	go run ./internal/conformtable -write docs/conformance.md           slow tests keep the outcomes that the table has
//	go run ./internal/conformtable -servers turngate -only 'channel.*'
//
// Without -write the table goes to standard output; what failed and why always goes to standard error.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/turngate/turngate/harness/conformance"
)

func main() {
	servers := flag.String("servers", "turngate,coturn,pion", "which, with commas")
	only := flag.String("only", "", "patterns of test ids, with commas")
	slow := flag.Bool("slow", false, "also what waits for something to expire")
	file := flag.String("write", "", "file that holds the table between markers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *file != "" && *only != "" {
		fmt.Fprintln(os.Stderr, "conformtable: -write wants all tests, so no -only")
		os.Exit(2)
	}
	err := run(ctx, strings.Split(*servers, ","), patterns(*only), *slow, *file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformtable:", err)
		os.Exit(1)
	}
}

func patterns(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func run(ctx context.Context, names []string, only []string, slow bool, file string) error {
	columns := make([]column, len(names))
	errs := make([]error, len(names))
	var running sync.WaitGroup
	turn := make(chan struct{}, 1)
	if slow {
		turn = make(chan struct{}, len(names)) // they only wait
	}
	for i, name := range names {
		running.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			columns[i], errs[i] = judge(ctx, name, conformance.Options{Run: only, Slow: slow})
		})
	}
	running.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		_ = columns[i].explain(os.Stderr)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if file == "" {
		_, err := os.Stdout.Write(table(columns))
		return err
	}
	if !slow {
		if err := keepSlow(file, columns); err != nil {
			return err
		}
	}
	return replace(file, table(columns))
}

// keepSlow takes the outcomes of slow tests that were not run from the table that is to be replaced.
func keepSlow(file string, columns []column) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i := range columns {
		outcomes, err := readColumn(old, columns[i].name)
		if err != nil {
			return fmt.Errorf("%s: %w; -slow is needed", file, err)
		}
		columns[i].kept = make(map[string]string)
		for _, test := range conformance.Tests() {
			if test.Slow {
				columns[i].kept[test.ID] = outcomes[test.ID]
			}
		}
	}
	return nil
}

// judge puts one server to the suite, over TCP and over TLS.
func judge(ctx context.Context, name string, options conformance.Options) (column, error) {
	pki, err := newPKI()
	if err != nil {
		return column{}, err
	}
	srv, err := start(ctx, name, pki, settings{})
	if err != nil {
		return column{}, err
	}
	defer srv.stop()
	c := column{name: name}
	if err := c.judgeBoth(ctx, srv, &tls.Config{RootCAs: pki.roots}, options); err != nil {
		return c, err
	}
	options.Slow = false
	return c, c.judgeQuota(ctx, pki, options)
}

// judgeBoth goes by TCP and then by TLS, or by both at once where tests only wait.
func (c *column) judgeBoth(ctx context.Context, srv *server, secure *tls.Config, options conformance.Options) error {
	var plainErr, secureErr error
	var running sync.WaitGroup
	running.Go(func() { c.tcp, plainErr = conformance.Run(ctx, srv.target(nil), options) })
	if !options.Slow {
		running.Wait()
	}
	running.Go(func() { c.tls, secureErr = conformance.Run(ctx, srv.target(secure), options) })
	running.Wait()
	return errors.Join(plainErr, secureErr)
}

// target is the server as the suite sees it.
func (srv *server) target(secure *tls.Config) conformance.Target {
	t := conformance.Target{
		Address: srv.tcp, User: user, Password: password, SecondUser: other, SecondPassword: otherWords,
		PeerAddress: loopback4,
	}
	if secure != nil {
		t.Address, t.TLS = srv.tls, secure
	}
	return t
}

// judgeQuota puts the test of a quota to a server that has one: it would be in the way of the others.
func (c *column) judgeQuota(ctx context.Context, pki *pki, options conformance.Options) error {
	const id = "allocate.quota"
	if c.find(id) == nil {
		return nil
	}
	srv, err := start(ctx, c.name, pki, settings{quota: 8})
	if err != nil {
		return err
	}
	defer srv.stop()
	options.Run = []string{id}
	report, err := conformance.Run(ctx, srv.target(nil), options)
	if err != nil {
		return err
	}
	*c.find(id) = report.Results[0]
	return nil
}

// replace puts the table between the markers of a file.
func replace(file string, table []byte) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the markers %q and %q are missing", file, begin, end)
	}
	return os.WriteFile(file, bytes.Join([][]byte{head, []byte(begin), []byte("\n"), table, []byte(end), tail}, nil), 0o644)
}

// The markers of the generated part.
const (
	begin = "<!-- begin: go run ./internal/conformtable -slow -write docs/conformance.md -->"
	end   = "<!-- end -->"
)
