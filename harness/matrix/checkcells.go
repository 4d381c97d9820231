package matrix

import (
	"context"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/proxyconnect"
)

// checked are the faults that a lab plays and the code that a diagnosis must end in, first in rank.
// It is given what a user has: URLs and credentials.
var checked = []struct {
	fault, scheme string
	secure        bool // turns
	want          string
}{
	{"ssl-ports", lab.SchemeBasic, true, "proxy.ssl-ports"},
	{"403", lab.SchemeBasic, false, "proxy.refused"},
	{"403.no-user-agent", lab.SchemeNTLM, false, "proxy.user-agent"},
	{"403.alpn", lab.SchemeBasic, false, "proxy.alpn"},
	{"403.after-auth", lab.SchemeBasic, false, "proxy.refused-after-auth"},
	{"403.ip-target", lab.SchemeBasic, false, "proxy.ip-target"},
	{"302", lab.SchemeBasic, false, "proxy.login-page"},
	{"511", lab.SchemeBasic, false, "proxy.login-page"},
	{"200.login-page", lab.SchemeBasic, false, "proxy.login-page"},
	{"200.login-page", lab.SchemeBasic, true, "proxy.login-page"},
	{"503", lab.SchemeBasic, false, "proxy.target-unreachable"},
	{"431=100", lab.SchemeBasic, false, "proxy.header-too-large"},
	{"431=250", lab.SchemeKerberos, false, "proxy.header-too-large"},
	{"407.forever", lab.SchemeBasic, false, "proxy.auth-rejected"},
	{"401", lab.SchemeBasic, false, "proxy.auth-rejected"},
	{"407.http10", lab.SchemeNTLM, false, "ntlm.connection-not-kept"},
	{"407.silent-close", lab.SchemeNTLM, false, "proxy.closed-on-credentials"},
	{"407.slow=20s", lab.SchemeBasic, false, "proxy.timeout"},
	{"407.endless", lab.SchemeNTLM, false, "proxy.endless-challenges"},
	{"407.no-scheme", lab.SchemeBasic, false, "proxy.no-common-scheme"},
	{"407.close", lab.SchemeNTLM, false, "ntlm.connection-not-kept"},
	{"ntlm.close-between-legs", lab.SchemeNTLM, false, "ntlm.closed-between-legs"},
	{"ntlm.forget", lab.SchemeNTLM, false, "proxy.auth-rejected"},
	{"eof", lab.SchemeBasic, false, "proxy.closed"},
	{"eof.on-credentials", lab.SchemeBasic, false, "proxy.closed-on-credentials"},
	{"eof.on-credentials", lab.SchemeNTLM, false, "proxy.closed-on-credentials"},
	{"garbage", lab.SchemeBasic, false, "proxy.not-http"},
	{"hang", lab.SchemeBasic, false, "proxy.timeout"},
	{"auth.slow=20s", lab.SchemeBasic, false, "auth.timeout"},
	{"200.slow=20s", lab.SchemeNone, false, "proxy.timeout"},
	{"200.glued-text=1111", lab.SchemeBasic, false, "turn.not-turn"},
	{"tunnel.reset", lab.SchemeBasic, false, "tunnel.closed-after-first-bytes"},
	{"tunnel.reset", lab.SchemeBasic, true, "tunnel.closed-after-first-bytes"},
	{"tunnel.dpi", lab.SchemeBasic, false, "tunnel.closed-after-first-bytes"},
	{"tunnel.cut-bytes=150", lab.SchemeBasic, false, "tunnel.cut"},
	{"tunnel.bursts=400ms", lab.SchemeBasic, false, "media.bursts"},
	{"tunnel.nagle", lab.SchemeBasic, false, "media.nagle"},
	{"tunnels", lab.SchemeBasic, false, "media.second-tunnel"},
	{"tunnel.idle=700ms", lab.SchemeBasic, false, "tunnel.idle-limit"},
	{"tunnel.cut=3s", lab.SchemeBasic, false, "tunnel.lifetime-limit"},
	{"tls.intercept", lab.SchemeBasic, true, "tls.intercepted"},
	{"tls.intercept-http", lab.SchemeBasic, true, "tls.intercepted"},
	{"kdc.spn-unknown", lab.SchemeKerberos, false, "kerberos.spn-unknown"},
	{"kdc.other-key", lab.SchemeKerberos, false, "kerberos.ticket-refused"},
	{"kdc.skew", lab.SchemeKerberos, false, "kerberos.clock-skew"},
	{"kdc.etype", lab.SchemeKerberos, false, "kerberos.etype"},
	{"kdc.locked", lab.SchemeKerberos, false, "kerberos.client-revoked"},
	{"kdc.unavailable", lab.SchemeKerberos, false, "kerberos.kdc-unreachable"},
	{"kdc.silent", lab.SchemeKerberos, false, "kerberos.kdc-unreachable"},
	{"turn.silent", lab.SchemeBasic, false, "turn.not-turn"},
	{"turn.http", lab.SchemeBasic, false, "proxy.login-page"},
	{"turn.closes", lab.SchemeBasic, true, "turn.not-tls"},
}

// A Diagnosis is how a cell is diagnosed instead of measured: it passes if the first finding has the
// code that the cell expects.
type Diagnosis struct {
	Timeout  time.Duration // of each stage
	Idle     []time.Duration
	Lifetime time.Duration
	Quality  bool
}

// CheckCells returns a cell for each fault that the embedded lab plays and a client can tell.
func CheckCells(l *lab.Lab) (cells []Cell) {
	for _, f := range checked {
		name, _, _ := strings.Cut(f.fault, "=")
		t := labTURN(l, f.secure)
		cells = append(cells, Cell{
			Name: strings.Join([]string{"fault", name, f.scheme, t.transport(), "check"}, "/"), TURN: t, TLS: l.ClientTLS,
			Auth: labAuth(l, lab.Proxy{Scheme: f.scheme}), Expect: f.want, Diagnose: diagnosisOf(f.want),
			Prepare: func(_ context.Context, c *Cell) (func(), error) {
				p, err := l.Faulty(f.fault, f.scheme)
				c.Proxy = p.URL
				switch f.fault { // what the user does to meet it
				case "403.ip-target":
					c.TURN.Address = strings.Replace(c.TURN.Address, "localhost", "127.0.0.1", 1)
				case "401":
					c.Auth.Password = "wr0ng-Password-1"
				}
				if p.Krb5Conf != "" {
					c.Auth.Krb5Conf = p.Krb5Conf
				}
				if p.TURN != "" {
					c.TURN.Address = p.TURN
				}
				return func() {}, err
			},
		})
	}
	return cells
}

// diagnosisOf asks for the slow stages where a fault shows in them alone.
func diagnosisOf(want string) *Diagnosis {
	d := &Diagnosis{Timeout: 700 * time.Millisecond}
	switch want {
	case "media.bursts", "media.nagle":
		d.Quality, d.Timeout = true, 5*time.Second // several bursts long
	case "tunnel.idle-limit":
		d.Idle = []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond}
	case "tunnel.lifetime-limit":
		d.Lifetime = 30 * time.Second
	}
	return d
}

// diagnose runs the cell's diagnosis.
func (c *Cell) diagnose(ctx context.Context, got *report.Cell) {
	d := &proxyconnect.Dialer{Proxy: c.Proxy, TLS: c.TLS, ALPN: []string{"stun.turn"}}
	if err := c.Auth.Apply(d); err != nil {
		got.Outcome, got.Detail = report.Void, err.Error()
		return
	}
	check := diagnosis.Check{
		Dialer: d, Timeout: c.Diagnose.Timeout, Quick: !c.Diagnose.Quality, Idle: c.Diagnose.Idle, Lifetime: c.Diagnose.Lifetime,
		TURN: diagnosis.TURN{Address: c.TURN.Address, Secure: c.TURN.Secure, TLS: c.TURN.Config, User: c.TURN.User, Password: credentials.Secret(c.TURN.Password)},
	}
	r := check.Run(ctx)
	got.Got = codeThrough
	for i, f := range diagnosis.Explain(r) {
		if i == 0 {
			got.Got, got.Detail, got.Hint = f.Code, f.Fact, f.Action
		}
	}
	got.Outcome = report.Pass
	if got.Got != c.Expect {
		got.Outcome = report.Fail
	}
}
