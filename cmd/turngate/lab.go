package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/testproxy"
)

type labCmd struct {
	Lab        string   `default:"embedded" enum:"embedded,real" help:"embedded, or real for Squid, Apache and tinyproxy with real verifiers."`
	Fault      []string `placeholder:"NAME[=ARG]" help:"Also run a proxy that plays a fault (embedded lab); see --list-faults. May be repeated."`
	Scheme     string   `default:"basic" enum:"none,basic,digest,digest-sha256,ntlm,negotiate-ntlm,kerberos,all" help:"What the proxies of --fault demand."`
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
		if _, err := testproxy.ParseFault(f); err != nil {
			return usageError{fmt.Errorf("--fault: %w (see --list-faults)", err)}
		}
	}
	l, err := startLab(ctx, c.Lab, log)
	if err != nil {
		return err
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "turngate-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := writeFiles(dir, l)
	if err != nil {
		return err
	}
	for _, f := range c.Fault {
		p, err := l.Faulty(f, c.Scheme)
		if err != nil {
			return usageError{fmt.Errorf("--fault %s: %w", f, err)}
		}
		p.Implementation += " " + f
		l.Proxies = append(l.Proxies, p)
	}
	printLab(std.out, l, files)
	<-ctx.Done()
	return nil
}

func listFaults(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range testproxy.Faults() {
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

func writeFiles(dir string, l *lab.Lab) (f labFiles, err error) {
	f = labFiles{dir: dir, ca: filepath.Join(dir, "ca.pem"), krb5: filepath.Join(dir, "krb5.conf"),
		curl: filepath.Join(dir, "curl.conf"), password: filepath.Join(dir, "password")}
	for path, text := range map[string]string{
		f.ca: string(l.CA), f.krb5: l.Krb5Conf, f.password: l.User.Password + "\n",
		// curl reads user and password from here, so that they are in no process list.
		f.curl: fmt.Sprintf("proxy-user = \"%s:%s\"\n", l.User.Name, l.User.Password),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return f, err
		}
	}
	return f, nil
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
	fmt.Fprintf(&b, `
user      %s, password %s (in %s), Kerberos %s@%s
TURN      turn:%s?transport=tcp  turns:%s?transport=tcp
          user %s, password %s
files     %s: ca.pem, krb5.conf, curl.conf, password

`, l.User.Name, l.User.Password, f.password, l.User.Name, l.Realm, l.TURN.TCP, l.TURN.TLS, l.TURN.User.Name, l.TURN.User.Password, f.dir)
	printCommands(&b, l, f)
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
