package main

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/internal/attempts"
	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/ntlm"
)

// realFaults are what goes wrong with Squid, MIT's KDC, winbindd, Apache and tinyproxy themselves.
// Squid's 407 looks the same for most of them.
var realFaults = []struct {
	name   string
	only   string // part of the stack
	config realstack.Config
	auth   string
	harm   func(t *testing.T, b *checkBench, s *realstack.Stack) (more []string)
	secure bool // turns
	status int
	want   string
}{
	{name: "stale keytab", only: "squid/negotiate", auth: "kerberos", harm: kadmin("cpw -randkey HTTP/localhost"), status: exitFail, want: "kerberos.ticket-refused"},
	{name: "unknown SPN", only: "squid/negotiate", auth: "kerberos", harm: kadmin("delprinc -force HTTP/localhost"), status: exitFail, want: "kerberos.spn-unknown"},
	{name: "KDC's clock", only: "squid/negotiate", auth: "kerberos", config: realstack.Config{KDCClock: time.Hour}, status: exitFail, want: "kerberos.clock-skew"},
	{name: "KDC's clock, a little", only: "squid/negotiate", auth: "kerberos", config: realstack.Config{KDCClock: 3 * time.Minute}, status: exitOK, want: "kerberos.clock-skew"},
	{name: "no ticket, NTLM instead", only: "squid/negotiate", auth: "negotiate", harm: flags("--ccache", "/nowhere"), status: exitFail, want: "negotiate.kerberos-only"},
	{name: "expired ticket", only: "squid/negotiate", auth: "kerberos", harm: expiredTicket, status: exitFail, want: "auth.no-credential"},
	{name: "encryption types", only: "squid/negotiate", auth: "kerberos", harm: oldEtypes, status: exitFail, want: "kerberos.etype"},
	{name: "KDC down", only: "squid/negotiate", auth: "kerberos", harm: stop("kdc"), status: exitFail, want: "kerberos.kdc-unreachable"},
	// On the wire this is a wrong password; the finding says so, and which log tells.
	{name: "winbindd down", only: "squid/ntlm", auth: "ntlm", harm: stop("winbind"), status: exitFail, want: "proxy.auth-rejected"},
	{name: "helpers exhausted", only: "squid/ntlm", auth: "ntlm", config: realstack.Config{SquidExtra: "auth_param ntlm children 1 startup=1 idle=1 queue-size=50"},
		harm: holdHelper, status: exitFail, want: "auth.timeout"},
	{name: "read_timeout", only: "squid/basic", auth: "basic", config: realstack.Config{SquidExtra: "read_timeout 2 seconds"},
		harm: flags("--idle", "200ms,4s"), status: exitOK, want: "tunnel.idle-limit"},
	{name: "delay pool", only: "squid/basic", auth: "basic", config: realstack.Config{SquidExtra: "delay_pools 1\ndelay_class 1 1\ndelay_parameters 1 20000/20000\ndelay_access 1 allow all"},
		status: exitOK, want: "media.slow"},
	{name: "Apache's AllowCONNECT", only: "apache", auth: "basic", harm: flags("--turn", fmt.Sprintf("turn:localhost:%d?transport=tcp", realstack.RefusedPort)),
		status: exitFail, want: "proxy.refused-after-auth"},
	{name: "Squid's SSL_ports", only: "squid/basic", auth: "basic", harm: flags("--turn", fmt.Sprintf("turn:localhost:%d?transport=tcp", realstack.RefusedPort)),
		status: exitFail, want: "proxy.ssl-ports"},
	{name: "Squid opens TLS", only: "inspection", auth: "none", secure: true, status: exitFail, want: "tls.intercepted"},
	{name: "Squid opens TLS, and is trusted", only: "inspection", auth: "none", secure: true, harm: trustInspection, status: exitFail, want: "tls.intercepted"},
	{name: "tinyproxy, wrong password", only: "tinyproxy", auth: "basic", harm: wrongPassword, status: exitFail, want: "proxy.auth-rejected"},
}

func kadmin(command string) func(*testing.T, *checkBench, *realstack.Stack) []string {
	return func(t *testing.T, _ *checkBench, s *realstack.Stack) []string {
		if err := s.Kadmin(t.Context(), command); err != nil {
			t.Fatal(err)
		}
		return nil
	}
}

func stop(part string) func(*testing.T, *checkBench, *realstack.Stack) []string {
	return func(t *testing.T, _ *checkBench, s *realstack.Stack) []string {
		if err := s.Stop(part); err != nil {
			t.Fatal(err)
		}
		return nil
	}
}

func flags(more ...string) func(*testing.T, *checkBench, *realstack.Stack) []string {
	return func(*testing.T, *checkBench, *realstack.Stack) []string { return more }
}

// trustInspection makes the inspection's authority one of those that this machine trusts.
func trustInspection(t *testing.T, b *checkBench, s *realstack.Stack) []string {
	both := b.write(t, "trusted.pem", string(b.lab.CA)+b.read(t, s.InspectionCA()))
	return []string{"--turn-ca", both}
}

func wrongPassword(t *testing.T, b *checkBench, _ *realstack.Stack) []string {
	return []string{"--proxy-password-file", b.write(t, "wrong", "wr0ng-Password-1")}
}

func expiredTicket(t *testing.T, b *checkBench, s *realstack.Stack) []string {
	cache, err := s.ExpiredCCache(t.Context(), b.lab.User.Name)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--ccache", cache}
}

// oldEtypes is a client that knows nothing but RC4, before a KDC that has keys for AES alone.
func oldEtypes(t *testing.T, b *checkBench, s *realstack.Stack) []string {
	conf := strings.Replace(b.read(t, s.Krb5Conf()), "[libdefaults]", "[libdefaults]\n default_tkt_enctypes = rc4-hmac\n default_tgs_enctypes = rc4-hmac\n permitted_enctypes = rc4-hmac\n allow_weak_crypto = true", 1)
	return []string{"--krb5-conf", b.write(t, "old.conf", conf)}
}

// holdHelper begins a handshake with Squid's only helper, which is then kept for its end.
func holdHelper(t *testing.T, b *checkBench, s *realstack.Stack) []string {
	proxy := strings.TrimPrefix(s.Proxies()[0].URL, "http://")
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	exchange, err := (&ntlm.Client{User: b.lab.User.Name, Password: b.lab.User.Password}).Begin("localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	negotiate, err := exchange.Next(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\nProxy-Authorization: NTLM %[2]s\r\n\r\n", b.lab.TURN.TCP, negotiate)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || !strings.Contains(string(answer[:n]), "Proxy-Authenticate: NTLM TlRM") {
		t.Fatalf("no challenge: %v\n%s", err, answer[:n])
	}
	return nil
}

// The real faults are told apart.
func TestCheckRealFaults(t *testing.T) {
	peers.Need(t, "squid", "basic_ncsa_auth", "htpasswd", "ntlm_auth", "winbindd", "krb5kdc", "negotiate_kerberos_auth",
		"apache2", "mod_auth_gssapi.so", "tinyproxy", "libfaketime.so.1", "squid-openssl", "security_file_certgen")
	b := newCheckBench(t)
	for _, f := range realFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			config := f.config
			config.Users = []realstack.User{{Name: b.lab.User.Name, Password: b.lab.User.Password}}
			config.Only = []string{f.only}
			s, err := realstack.Start(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var more []string
			if f.harm != nil {
				more = f.harm(t, b, s)
			}
			if strings.HasSuffix(f.only, "negotiate") && !slices.Contains(more, "--krb5-conf") {
				more = append(more, "--krb5-conf", s.Krb5Conf())
			}
			if f.auth == "kerberos" {
				more = append(more, "--realm", realstack.Realm)
			}
			got := b.check(t, b.args(s.Proxies()[0].URL, f.auth, f.secure, append(more, "--timeout", "3s", "--quick="+fmt.Sprint(f.want != "media.slow"))...))
			if got.status != f.status || got.first() != f.want {
				t.Errorf("exit status %d, first finding %q; want %d, %q\n%s", got.status, got.first(), f.status, f.want, got.text)
			}
		})
	}
}

// A sound path through each real proxy, by each of its schemes, has no finding; one path through each
// product is looked at to its end.
func TestCheckHealthyReal(t *testing.T) {
	peers.Need(t, "squid", "basic_ncsa_auth", "htpasswd", "ntlm_auth", "winbindd", "krb5kdc", "negotiate_kerberos_auth",
		"apache2", "mod_auth_gssapi.so", "tinyproxy")
	l, err := lab.Config{Log: slog.New(slog.DiscardHandler), Real: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := benchOf(t, l)
	whole := make(map[string]bool)
	for _, p := range l.Proxies {
		t.Run(fmt.Sprintf("%s,%s,tls=%v", p.Implementation, p.Scheme, p.TLS), func(t *testing.T) {
			quick := whole[p.Implementation]
			whole[p.Implementation] = true
			attempts.Measure(t, func(errorf func(string, ...any)) { // a machine that is busy makes a path slow
				got := b.check(t, b.args(p.URL, authFor(p.Scheme), true, fmt.Sprintf("--quick=%v", quick)))
				if p.Implementation == "tinyproxy" && !quick { // it does not set TCP_NODELAY, and that shows
					got.Findings = slices.DeleteFunc(got.Findings, func(f diagnosis.Finding) bool { return f.Code == "media.nagle" })
				}
				if got.status != exitOK || len(b.proxys(t, got.Findings)) > 0 {
					errorf("exit status %d, findings %v, want 0 and none:\n%s", got.status, got.Findings, got.text)
				}
			})
		})
	}
	if len(whole) != 3 {
		t.Errorf("products %v, want Squid, Apache and tinyproxy", whole)
	}
}
