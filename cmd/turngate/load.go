package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/child"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/proxyconnect"
)

// pathFlags name what is loaded: a proxy and a TURN server, or a lab.
type pathFlags struct {
	Lab              string `enum:"embedded,real," default:"" help:"Load a lab instead of a proxy of yours: embedded, or real for Squid with real verifiers. Default embedded, where no proxy is given."`
	Limit            string `placeholder:"NAME=VALUE,..." help:"What the embedded lab's proxy can carry, as for turngate lab."`
	Proxy            string `env:"TURNGATE_PROXY" placeholder:"URL" help:"The proxy: http://host:port or https://host:port."`
	Auth             string `default:"" env:"TURNGATE_AUTH" help:"Mechanisms, as for turngate connect; of a lab the scheme of its proxy. Default auto, of a lab ntlm."`
	ProxyUser        string `env:"TURNGATE_PROXY_USER" placeholder:"USER" help:"alice, DOMAIN\\alice or alice@corp.example."`
	ProxyPassword    string `name:"proxy-password-file" placeholder:"FILE" help:"File with the password on its first line. Else $$TURNGATE_PROXY_PASSWORD."`
	Realm            string `placeholder:"REALM" help:"Kerberos realm of the user."`
	Keytab           string `placeholder:"FILE" help:"Keytab to get Kerberos tickets with."`
	CCache           string `name:"ccache" placeholder:"FILE" help:"Kerberos credential cache."`
	Krb5Conf         string `name:"krb5-conf" placeholder:"FILE" help:"Default: $$KRB5_CONFIG, then /etc/krb5.conf."`
	ProxyCA          string `name:"proxy-ca" placeholder:"FILE" help:"PEM certificates to trust for an https proxy."`
	TURN             string `name:"turn" placeholder:"URI" help:"turns:HOST:PORT or turn:HOST:PORT?transport=tcp, to be reached also without the proxy."`
	TURNUser         string `name:"turn-user" placeholder:"USER" help:"User of the TURN server."`
	TURNPasswordFile string `name:"turn-password-file" placeholder:"FILE" help:"File with the TURN password. Else $$TURNGATE_TURN_PASSWORD."`
	TURNCA           string `name:"turn-ca" placeholder:"FILE" help:"PEM certificates to trust for turns."`
	findFlags
	probeFlags
	generatorFlags
	Seed uint64 `placeholder:"N" help:"Of the calls' schedules: the same seed offers the same packets at the same times. Default is random."`
}

// A target is what the path flags describe.
type target struct {
	dialer *proxyconnect.Dialer
	turn   loadtest.TURN
	path   measure.Path
	note   string
	probes probeFlags
	close  func() error
	died   func(context.Context) error // loadtest.Test.Died

	flags     proxyFlags // what the dialer was made of
	found     bool       // --pac or --wpad named the proxy
	turnCA    string
	generator generatorFlags
}

// target makes it. Its errors are the user's to mend, but for a lab that does not start.
func (f *pathFlags) target(ctx context.Context) (*target, error) {
	if err := f.generatorFlags.validate(f.ProxyPassword); err != nil {
		return nil, err
	}
	if !f.named() {
		return f.labTarget(ctx)
	}
	if f.Lab != "" || f.Limit != "" {
		return nil, usageError{errors.New("--lab and --limit are for a lab, and --proxy names a proxy, or --pac or --wpad finds one")}
	}
	flags := proxyFlags{Proxy: f.Proxy, Auth: cmp.Or(f.Auth, "auto"), ProxyUser: f.ProxyUser, ProxyPasswordFile: f.ProxyPassword, Realm: f.Realm,
		Keytab: f.Keytab, CCache: f.CCache, Krb5Conf: f.Krb5Conf, ProxyCA: f.ProxyCA}
	if f.TURN == "" || f.TURNUser == "" {
		return nil, usageError{errors.New("--turn and --turn-user are needed with --proxy, --pac or --wpad")}
	}
	parsed, err := diagnosis.ParseTURN(f.TURN)
	if err != nil {
		return nil, usageError{fmt.Errorf("--turn: %w", err)}
	}
	d, by, err := f.dialer(ctx, &flags, parsed.Address)
	if err != nil {
		return nil, err
	}
	t := &target{dialer: d, probes: f.probeFlags, note: "the proxy may serve others at the same time" + by, close: func() error { return nil },
		flags: flags, found: f.Proxy == "", turnCA: f.TURNCA, generator: f.generatorFlags}
	t.turn = loadtest.TURN{Address: parsed.Address, Secure: parsed.Secure, User: f.TURNUser, Password: os.Getenv(turnPasswordVariable)}
	if f.TURNPasswordFile != "" {
		secret, err := credentials.ReadSecret(f.TURNPasswordFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--turn-password-file: %w", err)}
		}
		t.turn.Password = string(secret)
	}
	if t.turn.TLS, err = credentials.Trust(f.TURNCA); err != nil {
		return nil, usageError{fmt.Errorf("--turn-ca: %w", err)}
	}
	t.path = measure.Path{Proxy: flags.Proxy, Auth: flags.Auth, TURN: t.turn.String()}
	return t, nil
}

// labTarget starts a lab in two processes besides ours: the proxy and the TURN server.
func (f *pathFlags) labTarget(ctx context.Context) (*target, error) {
	kind, scheme := cmp.Or(f.Lab, "embedded"), cmp.Or(f.Auth, "ntlm")
	args := []string{"--lab", kind, "--only", scheme, "--no-turn"}
	if f.Limit != "" {
		args = append(args, "--limit", f.Limit)
	}
	proxies, err := child.Start(ctx, args...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--lab: %w", err)}
	}
	server, err := child.Start(ctx, "--no-proxies")
	if err != nil {
		return nil, errors.Join(err, proxies.Close())
	}
	t := &target{close: func() error { return errors.Join(proxies.Close(), server.Close()) }, died: labDied(proxies, server), generator: f.generatorFlags}
	if err := f.fromLab(ctx, t, proxies, server, scheme); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// labDied returns what waits for the end of one of the lab's processes that was not to be.
func labDied(proxies, server *child.Lab) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		found := make(chan error, 2)
		for lab, what := range map[*child.Lab]error{proxies: errors.New("the proxy has died"), server: loadtest.ErrServerDied} {
			go func() { // ends with ctx at the latest
				if err := lab.Died(ctx); err != nil {
					found <- fmt.Errorf("%w: %w", what, err)
				}
			}()
		}
		select {
		case err := <-found:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *pathFlags) fromLab(ctx context.Context, t *target, proxies, server *child.Lab, scheme string) error {
	auth := cmp.Or(map[string]string{"digest-sha256": "digest", "all": "auto"}[scheme], scheme)
	i := slices.IndexFunc(proxies.Proxies, func(p lab.ProxyDocument) bool { return strings.HasPrefix(p.URL, "http:") })
	if i < 0 {
		return errors.New("the lab has no http proxy")
	}
	p := proxies.Proxies[i]
	flags := proxyFlags{Proxy: p.URL, Auth: auth, ProxyUser: proxies.User, ProxyPasswordFile: proxies.PasswordFile, Realm: proxies.Realm, Krb5Conf: proxies.Krb5Conf}
	t.flags = flags
	var err error
	if t.dialer, err = flags.dialer(ctx); err != nil {
		return err
	}
	password, err := credentials.ReadSecret(server.TURN.PasswordFile)
	if err != nil {
		return err
	}
	t.turn = loadtest.TURN{Address: server.TURN.TCP, User: server.TURN.User, Password: string(password)}
	t.path = measure.Path{Proxy: p.URL, Product: p.Implementation, Auth: auth, TURN: t.turn.String(), Lab: proxies.Lab}
	t.note = "generator, proxy and TURN server share this machine and its loopback"
	if f.Limit != "" {
		t.note += "; the proxy is limited to " + f.Limit
	}
	t.probes = f.probeFlags
	t.probes.lab(p.PID, p.Implementation, p.URL)
	return nil
}

// test makes the test of a target.
func (t *target) test(profile loadgen.Profile, objectives []measure.Objective, seed uint64) (lt *loadtest.Test, err error) {
	t.dialer.Budget = new(proxyconnect.Budget) // one rejection ends the run
	t.dialer.ALPN = []string{"stun.turn"}
	lt = &loadtest.Test{
		Version: version(), Note: t.note, Proxied: loadtest.Way(t.dialer, t.turn), Direct: loadtest.Way(nil, t.turn), TURN: t.turn,
		Path: t.path, Profile: profile, Objectives: objectives, Seed: seed, Died: t.died,
	}
	if seed == 0 {
		lt.Seed = rand.Uint64()
	}
	if err := t.generator.apply(lt, t); err != nil {
		return nil, err
	}
	lt.Watches, err = t.probes.watches()
	return lt, err
}

type loadCmd struct {
	Plan planFile `arg:"" optional:"" help:"YAML with values for these flags, their names with _ for -. Flags and environment win."`
	pathFlags
	Profile  string        `default:"720p" help:"What a call is made of: audio, 360p, 720p, 1080p, simulcast, screen, idle."`
	Calls    int           `default:"10" help:"How many calls."`
	Shape    string        `default:"steady" enum:"steady,steps,ramp,storm,failover,churn,soak" help:"steady; steps: --steps one after the other; ramp: up to --calls in five steps; storm: all log in within --over; failover: half of the calls come back within --over; churn: --rate calls per second are replaced; soak: steady, and tunnels that are lost are what counts."`
	Steps    []int         `placeholder:"N,..." help:"Calls of each step, with --shape steps."`
	Duration time.Duration `default:"30s" help:"Of each step."`
	peerFlags
	Baseline time.Duration `placeholder:"D" help:"How long the same calls are measured without the proxy first. Default: a third of the first step, 5 s to 30 s."`
	Over     time.Duration `default:"10s" help:"Of a storm."`
	Rate     float64       `default:"5" help:"Of churn, in calls per second."`
	webFlags
	Objective []string `placeholder:"METRIC=LIMIT" help:"Another limit than the default; off leaves the objective out. See docs/load.md. May be repeated."`
	Abort     bool     `name:"abort-on-fail" help:"End at the first step that breaks an objective."`
	recordFlags
}

// Help is shown by turngate load --help.
func (loadCmd) Help() string {
	return `Offers calls through a proxy, measures them beside the same calls without it, and judges. The far ends of the
calls and the baseline reach the TURN server without the proxy. Without --proxy the embedded lab is loaded, each
part in a process of its own. Exit status: 0 pass, 1 fail, 3 void (the generator was the bottleneck) or interrupted.
Docs: docs/load.md.

  turngate load --auth ntlm --calls 20 --profile audio
  turngate load plan.yaml --json run.json --html run.html
  turngate load --proxy http://proxy.corp:8080 --auth kerberos --turn turns:turn.corp:443 --turn-user u --calls 50`
}

// Run loads and judges.
func (c *loadCmd) Run(ctx context.Context, std stdio) error {
	profile, err := loadgen.FindProfile(c.Profile)
	if err != nil {
		return usageError{fmt.Errorf("--profile: %w", err)}
	}
	objectives, err := objectives(c.Objective)
	if err != nil {
		return err
	}
	steps, err := c.steps()
	if err != nil {
		return err
	}
	if err := c.peerFlags.check(&c.pathFlags); err != nil {
		return err
	}
	out, err := c.open(std)
	if err != nil {
		return err
	}
	t, err := c.target(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	lt, err := t.test(profile, objectives, c.Seed)
	if err != nil {
		return err
	}
	lt.AbortOnFail, lt.Baseline = c.Abort, c.Baseline
	if err := c.peerFlags.apply(ctx, lt); err != nil {
		return err
	}
	web, stopWeb, err := c.webFlags.web(t)
	if err != nil {
		return err
	}
	defer stopWeb()
	lt.Web = web
	if err := t.preflight(lt, steps, std.err); err != nil {
		return err
	}
	lt.Checkpoint = out.checkpoint(std)
	record, err := c.watched(ctx, std, lt, func(ctx context.Context) (measure.Record, error) { return lt.Load(ctx, steps) })
	if err != nil && len(record.Steps) == 0 {
		return loadError(err)
	}
	return errors.Join(out.write(record), loadError(err), verdictOf(record))
}

// loadError adds what to do.
func loadError(err error) error {
	if err == nil {
		return nil
	}
	if loadtest.Rejected(err) {
		return hinted{err, "nothing was tried again, lest the account be locked; turngate check says more"}
	}
	if errors.Is(err, loadgen.ErrNoEcho) {
		return hinted{err, "does turngate peer run there, is its --allow the address that the TURN server relays from, and does UDP get through between them?"}
	}
	return hinted{err, "turngate check says why a way does not work"}
}

func verdictOf(r measure.Record) error {
	switch r.Verdict {
	case measure.Pass:
		return nil
	case measure.Fail:
		return outcome(exitFail)
	}
	return outcome(exitVoid)
}

// steps are those of the shape.
func (c *loadCmd) steps() (steps []loadgen.Step, err error) {
	switch {
	case c.Calls < 1 || c.Calls > 100_000:
		return nil, usageError{fmt.Errorf("--calls %d: want 1 to 100,000", c.Calls)}
	case c.Duration < time.Second || c.Duration > 7*24*time.Hour:
		return nil, usageError{fmt.Errorf("--duration %v: want 1s to a week", c.Duration)}
	case c.NoBaseline && c.Baseline != 0:
		return nil, usageError{errors.New("--baseline and --no-baseline exclude each other")}
	case c.Baseline < 0 || c.Baseline > time.Hour:
		return nil, usageError{fmt.Errorf("--baseline %v: want up to an hour", c.Baseline)}
	case c.Over <= 0 || c.Over > c.Duration && (c.Shape == "storm" || c.Shape == "failover"):
		return nil, usageError{fmt.Errorf("--over %v: want more than 0 and at most --duration", c.Over)}
	case c.Rate <= 0 || c.Rate > 10_000:
		return nil, usageError{fmt.Errorf("--rate %v: want more than 0 and at most 10,000", c.Rate)}
	case (c.Shape == "steps") != (len(c.Steps) > 0):
		return nil, usageError{errors.New("--steps and --shape steps go together")}
	}
	one := loadgen.Step{Calls: c.Calls, Duration: c.Duration}
	switch c.Shape {
	case "steps":
		for _, n := range c.Steps {
			if n < 1 || n > 100_000 {
				return nil, usageError{fmt.Errorf("--steps %d: want 1 to 100,000", n)}
			}
			steps = append(steps, loadgen.Step{Calls: n, Duration: c.Duration})
		}
		return steps, nil
	case "ramp":
		for i := 1; i <= 5; i++ {
			steps = append(steps, loadgen.Step{Calls: max(1, c.Calls*i/5), Duration: c.Duration})
		}
		return steps, nil
	case "storm":
		one.Name, one.Kind, one.OpenRate = fmt.Sprintf("%d logins in %v", c.Calls, c.Over), "storm", float64(c.Calls)/c.Over.Seconds()
	case "failover":
		back := float64(c.Calls-c.Calls/2) / c.Over.Seconds()
		return []loadgen.Step{one, {Name: "half of the calls", Calls: max(1, c.Calls/2), Duration: time.Second},
			{Name: fmt.Sprintf("%d calls come back in %v", c.Calls-c.Calls/2, c.Over), Kind: "storm", Calls: c.Calls, Duration: c.Duration, OpenRate: back}}, nil
	case "churn":
		one.Name, one.Churn = fmt.Sprintf("%d calls, %g replaced per second", c.Calls, c.Rate), c.Rate
	case "soak":
		one.Kind = "soak"
	}
	return []loadgen.Step{one}, nil
}

// objectives are the default ones with the user's limits.
func objectives(changes []string) ([]measure.Objective, error) {
	list := loadtest.Objectives()
	for _, change := range changes {
		metric, text, ok := strings.Cut(change, "=")
		i := slices.IndexFunc(list, func(o measure.Objective) bool { return o.Metric == metric })
		if !ok || i < 0 {
			var known []string
			for _, o := range list {
				known = append(known, o.Metric)
			}
			return nil, usageError{fmt.Errorf("--objective %s: want METRIC=LIMIT with one of %s", change, strings.Join(known, ", "))}
		}
		if text == "off" {
			list = slices.Delete(list, i, i+1)
			continue
		}
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil || limit < 0 {
			return nil, usageError{fmt.Errorf("--objective %s: want a number that is not negative, or off", change)}
		}
		list[i].Limit, list[i].Source = limit, "given with --objective"
	}
	return list, nil
}
