// Command turngate takes TURN through authenticating HTTP proxies and says how well that works.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/harness/lab"
)

// The exit statuses, the same for every command.
const (
	exitOK    = 0 // as wished
	exitFail  = 1 // the thing tested failed
	exitUsage = 2 // wrong usage: flags, files, plans
	exitVoid  = 3 // could not be judged
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// stdio is what a command may read and write.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

type cli struct {
	Check       checkCmd       `cmd:"" help:"Say why TURN does not get through a proxy, and what to do about it."`
	Matrix      matrixCmd      `cmd:"" help:"Carry TURN through every proxy and authentication, and print a table."`
	Load        loadCmd        `cmd:"" help:"Offer calls through a proxy, measure them beside the same without it, and judge."`
	LoadMember  loadMemberCmd  `cmd:"" hidden:"" help:"One of the processes of load --processes."`
	Size        sizeCmd        `cmd:"" help:"Say how many calls a proxy carries, and how many proxies so many users need."`
	Peer        peerCmd        `cmd:"" help:"Be the other end of load's calls on another host: send back what a TURN server relays."`
	Report      reportCmd      `cmd:"" help:"Render the records of load and size again, or compare them."`
	Conformance conformanceCmd `cmd:"" help:"Ask any TURN server whether it does what the RFCs demand."`
	Lab         labCmd         `cmd:"" help:"Run the lab's proxies until interrupted, and print how to use them."`
	Connect     connectCmd     `cmd:"" help:"Join standard input and output to a tunnel (ssh's ProxyCommand)."`
	Serve       serveCmd       `cmd:"" help:"Run the TURN server."`
	Sessions    sessionsCmd    `cmd:"" help:"List the calls of a running TURN server, or end some."`
	Credential  credentialCmd  `cmd:"" help:"Print a user name and password for the TURN server that expire."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	PACChild    pacChildCmd    `cmd:"" name:"pac-child" hidden:""`
}

const description = `TURN over TCP and TLS through authenticating HTTP proxies: does it get through, and how well?

Exit status: 0 as wished, 1 the thing tested failed, 2 wrong usage, 3 could not be judged.

Examples:
  turngate check --proxy http://proxy.corp:8080 --auth ntlm --proxy-user alice --turn turns:turn.corp:443 --turn-user u
  turngate matrix                                every cell of the embedded lab
  turngate matrix --lab real --run 'ntlm/*'      NTLM through Squid and Apache
  turngate size --lab embedded --auth ntlm --quick    how many proxies do 1000 users need?
  turngate lab                                   proxies to try a client against
  turngate serve --config turngate.yaml          the TURN server
  ssh -o ProxyCommand='turngate connect --proxy http://proxy.corp:8080 --auth ntlm
      --proxy-user alice --proxy-password-file ~/.proxy-password %h:%p' host`

// run is main without the process: arguments in, exit status out.
func run(ctx context.Context, args []string, std stdio) (status int) {
	var c cli
	defer recoverExit(&status)
	parser, err := kong.New(&c, kong.Name("turngate"), kong.Description(description),
		kong.Writers(std.out, std.err), kong.Exit(func(code int) { panic(exit(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "turngate: %v\nhint: turngate --help\n", err)
		return exitUsage
	}
	return statusOf(ctx, command.Run(), std.err)
}

// exit carries kong's wish to exit (after --help) up to run.
type exit int

func recoverExit(status *int) {
	switch v := recover().(type) {
	case nil:
	case exit:
		*status = int(v)
	default:
		panic(v)
	}
}

// A usageError is the user's to mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A voidError says that nothing can be judged here.
type voidError struct{ error }

func (e voidError) Unwrap() error { return e.error }

// A hinted error comes with what to do next.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// An outcome is a command's exit status where all has been said already.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit status %d", int(o)) }

func statusOf(ctx context.Context, err error, stderr io.Writer) int {
	var o outcome
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &o):
		return int(o)
	}
	fmt.Fprintf(stderr, "turngate: %v\n", err)
	if h := (hinted{}); errors.As(err, &h) {
		fmt.Fprintf(stderr, "hint: %s\n", h.hint)
	}
	var missing *lab.MissingError
	var void voidError
	switch u := (usageError{}); {
	case errors.As(err, &u):
		return exitUsage
	case errors.As(err, &void), ctx.Err() != nil, errors.As(err, &missing): // interrupted, or nothing here to judge with
		return exitVoid
	}
	return exitFail
}
