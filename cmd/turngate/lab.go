package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/turngate/turngate/harness/lab"
)

type labCmd struct {
	Lab        string   `default:"embedded" enum:"embedded,real" help:"embedded, or real for Squid, Apache and tinyproxy with real verifiers."`
	Fault      []string `placeholder:"NAME[=ARG]" help:"Also run a proxy that plays a fault (embedded lab); see --list-faults. May be repeated."`
	Scheme     string   `default:"basic" enum:"none,basic,digest,digest-sha256,ntlm,negotiate-ntlm,kerberos,all" help:"What the proxies of --fault demand."`
	Only       []string `placeholder:"SCHEME,..." help:"Only proxies with these schemes; of the real lab only these Squids."`
	NoProxies  bool     `help:"Only the TURN server."`
	NoTURN     bool     `name:"no-turn" help:"Only the proxies."`
	Limit      limits   `placeholder:"NAME=VALUE,..." help:"What each embedded proxy can carry: mbps=N (each way), delay=D, tunnels=N, helpers=N and helper-time=D (credentials verified at a time, and how long that takes)."`
	SquidLine  []string `placeholder:"LINE" sep:"none" help:"A further line for every squid.conf of the real lab, for a smaller or stranger Squid: max_filedescriptors 400, auth_param ntlm children 2, read_timeout 5 seconds. {{.Basic}}, {{.Digest}}, {{.NTLM}} and {{.Negotiate}} are the commands of the helpers. May be repeated."`
	JSON       string   `name:"json" placeholder:"FILE" help:"Write what is running as JSON, secrets as paths of files; - is standard output instead of the text."`
	WhileStdin bool     `name:"while-stdin" help:"End when standard input does."`
	ListFaults bool     `help:"Print the faults and exit."`
	Verbose    bool     `short:"v" help:"Log what the TURN server does to standard error."`
}

// Help is shown by turngate lab --help.
func (labCmd) Help() string {
	return `Everything listens on loopback only, and the passwords are random in every run. What to paste is printed:
the proxies, the user, a krb5.conf, curl commands. ^C ends it and leaves nothing behind.`
}

// Run runs the lab until ctx ends.
func (c *labCmd) Run(ctx context.Context, std stdio) (err error) {
	if c.ListFaults {
		return listFaults(std.out)
	}
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range c.Fault {
		if err := lab.CheckFault(f); err != nil {
			return usageError{fmt.Errorf("--fault: %w (see --list-faults)", err)}
		}
	}
	if c.Lab == "real" && c.Limit != (limits{}) {
		return usageError{errors.New("--limit is for embedded proxies; --squid-line limits a Squid")}
	}
	if c.Lab != "real" && len(c.SquidLine) > 0 {
		return usageError{errors.New("--squid-line: only the real lab (--lab real) has a Squid")}
	}
	if c.NoProxies && c.NoTURN {
		return usageError{errors.New("--no-proxies and --no-turn leave nothing to run")}
	}
	config := lab.Config{Log: log, Real: c.Lab == "real", Schemes: c.Only, NoTURN: c.NoTURN, Limits: c.Limit.Limits,
		SquidExtra: strings.Join(c.SquidLine, "\n")}
	if c.NoProxies {
		config.Schemes = []string{}
	}
	if err := config.Validate(); err != nil {
		return usageError{fmt.Errorf("--only: %w", err)}
	}
	l, err := config.Start(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "turngate-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, f := range c.Fault {
		p, err := l.Faulty(f, c.Scheme)
		if err != nil {
			return usageError{fmt.Errorf("--fault %s: %w", f, err)}
		}
		p.Implementation += " " + f
		if p.Krb5Conf != "" {
			path := filepath.Join(dir, "krb5-"+f+".conf")
			if err := os.WriteFile(path, []byte(p.Krb5Conf), 0o600); err != nil {
				return err
			}
			p.Implementation += ", with " + path
		}
		if p.TURN != "" {
			p.Implementation += ", with turn:" + p.TURN + "?transport=tcp"
		}
		l.Proxies = append(l.Proxies, p)
	}
	d, err := l.Describe(dir)
	if err != nil {
		return err
	}
	if err := c.tell(std, l, d); err != nil {
		return err
	}
	if c.WhileStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() { // ends with the process at the latest
			defer cancel()
			io.Copy(io.Discard, std.in)
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.Died():
		return err
	}
}

// tell says what is running.
func (c *labCmd) tell(std stdio, l *lab.Lab, d lab.Document) error {
	if c.JSON != "-" {
		files, err := writeCurl(l, d)
		if err != nil {
			return err
		}
		printLab(std.out, l, files)
	}
	if c.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if c.JSON == "-" {
		_, err = std.out.Write(text)
		return err
	}
	if err := os.WriteFile(c.JSON, text, 0o600); err != nil {
		return usageError{fmt.Errorf("--json: %w", err)}
	}
	return nil
}

func listFaults(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range lab.Faults() {
		name := f.Name
		if f.Default != "" {
			name += "=" + f.Default
		}
		fmt.Fprintf(table, "%s\t%s\n", name, f.Text)
	}
	return table.Flush()
}

// labFiles are what a user's programs need of the lab; they go with it.
type labFiles struct{ dir, ca, krb5, curl, password string }

// writeCurl adds to the lab's files one from which curl reads user and password, so that they are in
// no process list.
func writeCurl(l *lab.Lab, d lab.Document) (labFiles, error) {
	f := labFiles{dir: d.Dir, ca: d.CA, krb5: d.Krb5Conf, curl: filepath.Join(d.Dir, "curl.conf"), password: d.PasswordFile}
	return f, os.WriteFile(f.curl, fmt.Appendf(nil, "proxy-user = \"%s:%s\"\n", l.User.Name, l.User.Password), 0o600)
}

func printLab(w io.Writer, l *lab.Lab, f labFiles) {
	var b strings.Builder
	fmt.Fprintf(&b, "The %s lab is running on loopback; ^C ends it.\n\n", l.Name)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROXY\tSCHEME\tIMPLEMENTATION")
	for _, p := range l.Proxies {
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.URL, p.Scheme, p.Implementation)
	}
	table.Flush()
	fmt.Fprintf(&b, "\nuser      %s, password %s (in %s), Kerberos %s@%s\n", l.User.Name, l.User.Password, f.password, l.User.Name, l.Realm)
	if l.TURN.TCP != "" {
		fmt.Fprintf(&b, "TURN      turn:%s?transport=tcp  turns:%s?transport=tcp\n          user %s, password %s\n",
			l.TURN.TCP, l.TURN.TLS, l.TURN.User.Name, l.TURN.User.Password)
	}
	fmt.Fprintf(&b, "files     %s: ca.pem, krb5.conf, curl.conf, password, turn-password\n\n", f.dir)
	if l.TURN.TLS != "" {
		printCommands(&b, l, f)
	}
	io.WriteString(w, b.String())
}

// printCommands prints for each scheme a command that gets through its http proxy. The TURN server is
// the target: it accepts the tunnel and TLS, and then has no answer to curl's HTTP, so %{http_connect}
// is what tells.
func printCommands(b *strings.Builder, l *lab.Lab, f labFiles) {
	curl := map[string]string{
		lab.SchemeBasic: "--proxy-basic -K " + f.curl, lab.SchemeDigest: "--proxy-digest -K " + f.curl,
		lab.SchemeNTLM: "--proxy-ntlm -K " + f.curl, lab.SchemeKerberos: "--proxy-negotiate -U :",
	}
	fmt.Fprintf(b, "export KRB5_CONFIG=%s KRB5CCNAME=FILE:%s; kinit %s < %s\n", f.krb5, filepath.Join(f.dir, "ccache"), l.User.Name, f.password)
	for _, p := range l.Proxies {
		if options := curl[p.Scheme]; options != "" && !p.TLS && p.Implementation != "apache" {
			fmt.Fprintf(b, "curl -sm2 -o /dev/null -w '%%{http_connect}\\n' %s -x %s --cacert %s https://%s\n", options, p.URL, f.ca, l.TURN.TLS)
		}
	}
}
