package diagnosis

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/proxyfind"
)

// failing is the report of a path that fails at a stage.
func failing(stage string, kind Kind, more ...func(*Report)) Report {
	r := Report{Format: Format, Proxy: "http://proxy.corp:8080", Target: "turn.corp:3478"}
	for _, name := range []string{StageFind, StageResolve, StageTCP, StageProxyTLS, StageConnect, StageAuth, StageTunnel, StageTURNTLS, StageBinding, StageAllocate, StageMedia, StageQuality} {
		s := Stage{Name: name, Outcome: OK, Milliseconds: 1}
		if name == stage {
			s.Outcome, s.Kind, s.Error = Failed, kind, "what the stage saw"
		}
		if _, failed := r.Failure(); failed {
			s = Stage{Name: name, Outcome: NotReached}
		}
		r.Stages = append(r.Stages, s)
	}
	for _, f := range more {
		f(&r)
	}
	return r
}

func proxyAt(url string) func(*Report)    { return func(r *Report) { r.Proxy = url } }
func route(route Route) func(*Report)     { return func(r *Report) { r.Route = &route } }
func target(address string) func(*Report) { return func(r *Report) { r.Target = address } }
func answer(a Answer) func(*Report)       { return func(r *Report) { r.Answer = &a } }
func refusal(a Answer) func(*Report)      { return func(r *Report) { r.Refusal = &a } }
func probes(p ...Probe) func(*Report)     { return func(r *Report) { r.Probes = p } }
func tried(a ...Attempt) func(*Report)    { return func(r *Report) { r.Attempts = a } }
func first(b FirstBytes) func(*Report)    { return func(r *Report) { r.First = b } }
func turns(t TLS) func(*Report)           { return func(r *Report) { r.Secure, r.TunnelTLS = true, &t } }
func direct(d Direct) func(*Report)       { return func(r *Report) { r.Direct = &d } }
func pinned(key string) func(*Report)     { return func(r *Report) { r.Pinned = key } }
func turnCode(code int) func(*Report)     { return func(r *Report) { r.TURNCode = code } }
func kdc(code int32, name string) *KDC {
	return &KDC{Code: code, Name: name, Address: "10.0.0.1:88/tcp"}
}
func ticket(o Outcome, k *KDC) Attempt {
	return Attempt{Mechanism: "Kerberos", Outcome: o, KDC: k, Error: "no ticket"}
}
func requests(q ...Request) func(*Report) { return func(r *Report) { r.Requests = q } }
func codesOf(findings []Finding) (c []string) {
	for _, f := range findings {
		c = append(c, f.Code)
	}
	return c
}

func quality(up, down Delays) func(*Report) {
	return func(r *Report) { r.Quality = &Quality{Up: up, Down: down} }
}
func rate(up, down float64) func(*Report) { return func(r *Report) { r.Rate = &Rate{up, down} } }
func largest(bytes int) func(*Report)     { return func(r *Report) { r.MaxPacket = bytes } }
func endurance(e Endurance) func(*Report) { return func(r *Report) { r.Endurance = &e } }

var explainTable = []struct {
	name   string
	report Report
	want   []string // codes, in their order
	fact   string   // part of the first fact
}{
	{"works", failing("", ""), nil, ""},
	{"works well", failing("", "", quality(Delays{Sent: 100, Received: 100, Min: 20, P50: 21, Max: 300, Late: 0.03}, Delays{Sent: 100, Received: 99, Late: 0.01}),
		rate(40, 30), largest(1200), endurance(Endurance{Survived: 300, Lived: 60})), nil, ""},
	{"bursts", failing("", "", quality(Delays{Sent: 100, Received: 100}, Delays{Sent: 100, Received: 100, Late: 0.5, Max: 300})), []string{"media.bursts"}, "down, 50 %"},
	{"late, and so was this machine", failing("", "", quality(Delays{Sent: 100, Received: 100}, Delays{Sent: 100, Received: 100, Late: 0.5, Max: 300}), func(r *Report) { r.Quality.OwnLate = 0.4 }), nil, ""},
	{"bursts on a machine that was late for a moment", failing("", "", quality(Delays{Sent: 100, Received: 100}, Delays{Sent: 100, Received: 100, Late: 0.5, Max: 300}), func(r *Report) { r.Quality.OwnLate = 0.1 }), []string{"media.bursts"}, "down, 50 %"},
	{"bursts both ways", failing("", "", quality(Delays{Sent: 100, Received: 100, Late: 0.3}, Delays{Sent: 100, Received: 100, Late: 0.5})), []string{"media.bursts"}, "; down, 50 %"},
	{"far", failing("", "", quality(Delays{Sent: 100, Received: 100, Min: 210}, Delays{})), []string{"media.delay"}, "up, the fastest packet took 210 ms"},
	{"Nagle", failing("", "", func(r *Report) { r.Bursts = &Bursts{Up: Burst{Second: 41}, Down: Burst{Second: 41}} }, rate(40, 30)), []string{"media.nagle"}, "up, the second of two small packets takes 41 ms longer"},
	{"too slow to tell Nagle", failing("", "", func(r *Report) { r.Bursts = &Bursts{Up: Burst{Second: 41}} }, rate(0.1, 0.1)), []string{"media.slow"}, ""},
	{"bursts, and so the second comes late", failing("", "", quality(Delays{Sent: 100, Received: 100, Late: 0.5}, Delays{}), func(r *Report) { r.Bursts = &Bursts{Up: Burst{Second: 41}} }), []string{"media.bursts"}, ""},
	{"slow", failing("", "", rate(40, 0.3)), []string{"media.slow"}, "0.30 down"},
	{"small", failing("", "", largest(576)), []string{"media.small-packets"}, "576"},
	{"idle", failing("", "", endurance(Endurance{Survived: 15, CutAfterIdle: 30, Reconnected: 12})), []string{"tunnel.idle-limit"}, "a silence of 30s ended the tunnel; one of 15s did not; a new one opens in 12 ms"},
	{"lifetime", failing("", "", endurance(Endurance{Lived: 61, Cut: true, ReconnectError: "refused"})), []string{"tunnel.lifetime-limit"}, "after 1m1s; a new one does not open: refused"},
	{"cut while measured", failing(StageQuality, KindClosed, first(BytesSTUN)), []string{"tunnel.cut"}, ""},
	{"interrupted", failing(StageAuth, KindCanceled), nil, ""},
	{"PAC absent", failing(StageFind, KindOther, route(Route{Failure: proxyfind.Unfetchable})), []string{"pac.not-fetched"}, "what the stage saw"},
	{"PAC late", failing(StageFind, KindTimeout, route(Route{Failure: proxyfind.Unfetchable})), []string{"pac.not-fetched"}, ""},
	{"PAC large", failing(StageFind, KindOther, route(Route{Failure: proxyfind.TooLarge})), []string{"pac.too-large"}, ""},
	{"PAC is a page", failing(StageFind, KindOther, route(Route{Failure: proxyfind.NotScript})), []string{"pac.not-javascript"}, ""},
	{"PAC throws", failing(StageFind, KindOther, route(Route{Failure: proxyfind.ScriptError})), []string{"pac.script-error"}, ""},
	{"PAC loops", failing(StageFind, KindOther, route(Route{Failure: proxyfind.Stopped})), []string{"pac.stopped"}, ""},
	{"PAC says nonsense", failing(StageFind, KindOther, route(Route{Failure: proxyfind.NothingToUse})), []string{"pac.nothing-usable"}, ""},
	{"SOCKS", failing(StageFind, KindOther, route(Route{Failure: proxyfind.OnlySOCKS})), []string{"find.socks-only"}, ""},
	{"no WPAD", failing(StageFind, KindOther, route(Route{Failure: proxyfind.NoWPAD})), []string{"wpad.not-found"}, ""},
	{"no child", failing(StageFind, KindOther, route(Route{Failure: proxyfind.NoChild})), []string{"path.other"}, "find proxy: what"},
	{"DIRECT, closed", failing(StageTunnel, KindUnreachable, proxyAt(""), route(Route{Chosen: "DIRECT", Found: proxyfind.Found{By: "NO_PROXY"}})), []string{"find.direct"}, "by NO_PROXY there is no proxy for turn.corp:3478, and without one: what"},
	{"DIRECT, unknown authority", failing(StageTURNTLS, KindAuthority, proxyAt(""), turns(TLS{Issuer: "CN=ca"}), route(Route{Chosen: "DIRECT"})), []string{"tls.untrusted", "tls.intercepted"}, ""},
	{"first proxy down", failing("", "", route(Route{Chosen: "PROXY b:1", Unreachable: []string{"PROXY a:1: refused"}})), []string{"find.first-unreachable"}, "passed over PROXY a:1: refused; PROXY b:1 is used"},
	{"announced", failing(StageAuth, KindNoScheme, answer(Answer{Status: 407, Offered: []string{"NTLM"}}), route(Route{Chosen: "PROXY b:1", Withheld: true, Found: proxyfind.Found{Source: proxyfind.ByPAC}})), []string{"auth.proxy-not-allowed"}, "PAC names the proxy, which offers NTLM; --proxy-allow b:1"},
	{"announced, cleartext", failing(StageAuth, KindCleartext, answer(Answer{Status: 407, Offered: []string{"Basic"}}), tried(Attempt{Mechanism: "Basic", Outcome: Cleartext}), route(Route{Chosen: "PROXY b:1", Found: proxyfind.Found{Source: proxyfind.ByPAC}})), []string{"auth.cleartext"}, "no flag lets Basic go there"},
	{"name", failing(StageResolve, KindUnknownName), []string{"proxy.unknown-name"}, "proxy.corp"},
	{"name server silent", failing(StageResolve, KindTimeout), []string{"proxy.timeout"}, "resolve proxy"},
	{"refused", failing(StageTCP, KindUnreachable), []string{"proxy.unreachable"}, ""},
	{"silent", failing(StageTCP, KindTimeout), []string{"proxy.timeout"}, "TCP to proxy"},
	{"proxy's certificate", failing(StageProxyTLS, KindAuthority, func(r *Report) { r.ProxyTLS = &TLS{Subject: "CN=p", Issuer: "CN=ca"} }), []string{"proxy.tls"}, `issued by "CN=ca"`},
	{"proxy without TLS", failing(StageProxyTLS, KindTimeout), []string{"proxy.tls", "proxy.timeout"}, ""},
	{"CONNECT silent", failing(StageConnect, KindTimeout), []string{"proxy.timeout"}, "does not answer CONNECT"},
	{"CONNECT closed", failing(StageConnect, KindClosed, probes(Probe{Change: ProbeTLS})), []string{"proxy.closed"}, ""},
	{"TLS only", failing(StageConnect, KindClosed, probes(Probe{Change: ProbeTLS, TLS: true})), []string{"proxy.not-http"}, "answers to TLS"},
	{"garbage", failing(StageConnect, KindNotHTTP), []string{"proxy.not-http"}, ""},
	{"port refused, 443 is not", failing(StageConnect, KindRefused, answer(Answer{Status: 403, Squid: "ERR_ACCESS_DENIED"}), probes(Probe{Change: ProbePort, Status: 407}, Probe{Change: ProbeUserAgent, Status: 403})),
		[]string{"proxy.ssl-ports"}, "(ERR_ACCESS_DENIED)"},
	{"port refused, no probe answered", failing(StageConnect, KindRefused, answer(Answer{Status: 403}), probes(Probe{Change: ProbePort})), []string{"proxy.refused", "proxy.ssl-ports"}, "turn.corp:3478"},
	{"443 refused", failing(StageConnect, KindRefused, target("turn.corp:443"), answer(Answer{Status: 403}), probes(Probe{Change: ProbeUserAgent, Status: 403})), []string{"proxy.refused"}, ""},
	{"all refused", failing(StageConnect, KindRefused, answer(Answer{Status: 403}), probes(Probe{Change: ProbePort, Status: 403})), []string{"proxy.refused"}, ""},
	{"User-Agent", failing(StageConnect, KindRefused, answer(Answer{Status: 403}), probes(Probe{Change: ProbeUserAgent, Status: 200})), []string{"proxy.user-agent"}, "with User-Agent gets 200"},
	{"ALPN", failing(StageConnect, KindRefused, target("turn.corp:443"), answer(Answer{Status: 400}), probes(Probe{Change: ProbeALPN, Status: 407})), []string{"proxy.alpn"}, ""},
	{"address", failing(StageConnect, KindRefused, target("10.1.1.1:443"), answer(Answer{Status: 403})), []string{"proxy.refused", "proxy.ip-target"}, ""},
	{"address, a name is let in", failing(StageConnect, KindRefused, target("10.1.1.1:443"), answer(Answer{Status: 403}), probes(Probe{Change: ProbeName, Status: 407})), []string{"proxy.ip-target"}, "by name gets 407"},
	{"redirect", failing(StageConnect, KindRefused, answer(Answer{Status: 302, Location: "login.example"})), []string{"proxy.login-page"}, "to login.example"},
	{"511", failing(StageConnect, KindRefused, answer(Answer{Status: 511})), []string{"proxy.login-page"}, ""},
	{"too large", failing(StageTunnel, KindRefused, refusal(Answer{Status: 431})), []string{"proxy.header-too-large"}, ""},
	{"gateway", failing(StageTunnel, KindRefused, refusal(Answer{Status: 503}), direct(Direct{Reached: "STUN"})), []string{"proxy.target-unreachable"}, "the TURN server answers"},
	{"no common scheme", failing(StageAuth, KindNoScheme, answer(Answer{Status: 407, Offered: []string{"Negotiate"}}), tried(Attempt{Mechanism: "Basic", Outcome: NotOffered})), []string{"proxy.no-common-scheme"}, "offers Negotiate; we were to use Basic"},
	{"nothing to offer", failing(StageAuth, KindNoCredential, answer(Answer{Status: 407, Offered: []string{"NTLM"}}), tried(Attempt{Mechanism: "NTLM", Outcome: NoCredential, Error: "no password"})), []string{"auth.no-credential"}, "NTLM: no password"},
	{"cleartext", failing(StageAuth, KindCleartext, answer(Answer{Status: 407, Offered: []string{"Basic"}}), tried(Attempt{Mechanism: "Basic", Outcome: Cleartext})), []string{"auth.cleartext"}, ""},
	{"slow helper", failing(StageAuth, KindTimeout, requests(Request{Mechanism: "NTLM", Status: 407}, Request{Mechanism: "NTLM"})), []string{"auth.timeout"}, "the proxy's answer to NTLM"},
	{"slow KDC", failing(StageAuth, KindTimeout, requests(Request{Status: 407})), []string{"auth.timeout"}, "for a KDC"},
	{"rejected", failing(StageAuth, KindRejected, tried(Attempt{Mechanism: "Digest", Outcome: Rejected, Error: "no"}, Attempt{Mechanism: "Basic", Outcome: NotTried})), []string{"proxy.auth-rejected"}, "not tried after that: Basic"},
	{"NTLM rejected", failing(StageAuth, KindRejected, tried(Attempt{Mechanism: "NTLM", Outcome: Rejected, NTLM: &NTLM{Domain: "CORP", Challenges: 1}})), []string{"proxy.auth-rejected", "ntlm.multiplexed"}, ""},
	{"NTLM, another challenge", failing(StageAuth, KindRejected, tried(Attempt{Mechanism: "NTLM", Outcome: Rejected, NTLM: &NTLM{Challenges: 2}})), []string{"proxy.endless-challenges", "proxy.auth-rejected"}, ""},
	{"Kerberos gave way, NTLM rejected", failing(StageAuth, KindRejected, tried(ticket(NoCredential, kdc(7, "S_PRINCIPAL_UNKNOWN")), Attempt{Mechanism: "NTLM", Outcome: Rejected})), []string{"proxy.auth-rejected", "kerberos.spn-unknown"}, ""},
	{"rejected earlier", failing(StageAuth, KindRejected), []string{"proxy.auth-rejected"}, ""},
	{"not kept", failing(StageAuth, KindNotKept, tried(Attempt{Mechanism: "NTLM", Outcome: Failed}, Attempt{Mechanism: "Basic", Outcome: NotOffered})), []string{"ntlm.connection-not-kept"}, "NTLM"},
	{"closed between legs", failing(StageAuth, KindClosed, tried(Attempt{Mechanism: "NTLM", Outcome: Failed, NTLM: &NTLM{Domain: "CORP"}})), []string{"ntlm.closed-between-legs"}, `"CORP"`},
	{"closed on credentials", failing(StageAuth, KindClosed, tried(Attempt{Mechanism: "Basic", Outcome: Failed})), []string{"proxy.closed-on-credentials"}, "Basic"},
	{"endless", failing(StageAuth, KindEndless, tried(Attempt{Mechanism: "Kerberos", Outcome: Failed, Requests: 6})), []string{"proxy.endless-challenges"}, "after 6 requests"},
	{"second connection refused", failing(StageAuth, KindUnreachable), []string{"proxy.unreachable"}, ""},
	{"no ticket, NTLM under Negotiate", failing(StageAuth, KindNoChallenge, tried(ticket(NoCredential, nil), Attempt{Mechanism: "NTLM in Negotiate", Outcome: Failed})), []string{"negotiate.kerberos-only"}, "Kerberos: no ticket"},
	{"NTLM's first message ignored", failing(StageAuth, KindNoChallenge, tried(Attempt{Mechanism: "NTLM", Outcome: Failed})), []string{"ntlm.multiplexed"}, ""},
	{"works, the KDC's clock is off", failing("", "", tried(Attempt{Mechanism: "Kerberos", Outcome: Accepted, Ticket: &Ticket{OffsetSeconds: -180}})), []string{"kerberos.clock-skew"}, "minus ours is -3m0s"},
	{"works, the KDC's clock is a little off", failing("", "", tried(Attempt{Mechanism: "Kerberos", Outcome: Accepted, Ticket: &Ticket{OffsetSeconds: 60}})), nil, ""},
	{"handshake broke", failing(StageAuth, KindOther), []string{"proxy.auth-failed"}, ""},
	{"KDC: password", failing(StageAuth, KindRejected, tried(ticket(Rejected, kdc(24, "PREAUTH_FAILED")))), []string{"kerberos.preauth-failed"}, "10.0.0.1:88/tcp"},
	{"KDC: user", failing(StageAuth, KindRejected, tried(ticket(Rejected, kdc(6, "C_PRINCIPAL_UNKNOWN")))), []string{"kerberos.client-unknown"}, ""},
	{"KDC: locked", failing(StageAuth, KindRejected, tried(ticket(Rejected, kdc(18, "CLIENT_REVOKED")))), []string{"kerberos.client-revoked"}, ""},
	{"KDC: service", failing(StageAuth, KindNoCredential, tried(ticket(NoCredential, kdc(7, "S_PRINCIPAL_UNKNOWN")))), []string{"kerberos.spn-unknown"}, ""},
	{"KDC: clock", failing(StageAuth, KindOther, tried(ticket(Failed, &KDC{Code: 37, Name: "SKEW", OffsetSeconds: -600}))), []string{"kerberos.clock-skew"}, "minus ours is -10m0s"},
	{"KDC: types", failing(StageAuth, KindNoCredential, tried(ticket(NoCredential, kdc(14, "ETYPE_NOSUPP")))), []string{"kerberos.etype"}, ""},
	{"KDC: policy", failing(StageAuth, KindNoCredential, tried(ticket(NoCredential, kdc(12, "POLICY")))), []string{"kerberos.error"}, "POLICY"},
	{"KDC silent", failing(StageAuth, KindNoCredential, tried(ticket(NoCredential, &KDC{Unreachable: true}))), []string{"kerberos.kdc-unreachable"}, ""},
	{"KDC: service, and no password for NTLM", failing(StageAuth, KindNoCredential, tried(ticket(NoCredential, kdc(7, "S_PRINCIPAL_UNKNOWN")), Attempt{Mechanism: "NTLM", Outcome: NoCredential})), []string{"kerberos.spn-unknown", "auth.no-credential"}, ""},
	{"proxy by address", failing(StageAuth, KindNoCredential, proxyAt("http://10.0.0.9:3128"), tried(ticket(NoCredential, nil))), []string{"kerberos.proxy-address"}, "10.0.0.9"},
	{"ticket refused, shown", failing(StageAuth, KindRejected, tried(Attempt{Mechanism: "Kerberos", Outcome: TicketRefused, Ticket: &Ticket{Client: "a@R", Service: "HTTP/p", Etype: "aes256", KVNO: 3, Replies: []string{"reject"}}})), []string{"kerberos.ticket-refused"}, "HTTP/p (aes256, key version 3); the proxy answers it with reject"},
	{"ticket refused", failing(StageAuth, KindRejected, tried(ticket(TicketRefused, nil))), []string{"kerberos.ticket-refused"}, ""},
	{"known and refused", failing(StageTunnel, KindRefused, refusal(Answer{Status: 403})), []string{"proxy.refused-after-auth"}, ""},
	{"known and refused, 443 is let in", failing(StageTunnel, KindRefused, refusal(Answer{Status: 403}), probes(Probe{Change: ProbePort, Status: 200})), []string{"proxy.ssl-ports"}, "takes the credentials"},
	{"known and refused, 443 leads nowhere", failing(StageTunnel, KindRefused, refusal(Answer{Status: 403}), probes(Probe{Change: ProbePort, Status: 503})), []string{"proxy.refused-after-auth", "proxy.ssl-ports"}, ""},
	{"known and refused, 443 challenges", failing(StageTunnel, KindRefused, refusal(Answer{Status: 403}), probes(Probe{Change: ProbePort, Status: 407})), []string{"proxy.refused-after-auth"}, ""},
	{"intercepted, to compare", failing(StageTURNTLS, KindAuthority, turns(TLS{SHA256: "a", Issuer: "CN=corp"}), direct(Direct{TLS: &TLS{SHA256: "b"}})), []string{"tls.intercepted"}, "CN=corp"},
	{"intercepted, nothing to compare", failing(StageTURNTLS, KindAuthority, turns(TLS{SHA256: "a"})), []string{"tls.intercepted", "tls.untrusted"}, ""},
	{"untrusted", failing(StageTURNTLS, KindAuthority, turns(TLS{SHA256: "a"}), direct(Direct{TLS: &TLS{SHA256: "a"}})), []string{"tls.untrusted"}, ""},
	{"untrusted, pinned", failing(StageTURNTLS, KindAuthority, turns(TLS{SHA256: "a", Key: "k"}), pinned("k")), []string{"tls.untrusted"}, "its key is the pinned one"},
	{"another key, the server's without the proxy", failing(StageTURNTLS, KindPin, turns(TLS{SHA256: "a", Key: "k"}), pinned("p"), direct(Direct{TLS: &TLS{Key: "p"}})), []string{"tls.intercepted"}, "without the proxy it is"},
	{"another key, also without the proxy", failing(StageTURNTLS, KindPin, turns(TLS{SHA256: "a", Key: "k"}), pinned("p"), direct(Direct{TLS: &TLS{Key: "k"}})), []string{"tls.pin"}, "the same"},
	{"another key, nothing to compare", failing(StageTURNTLS, KindPin, turns(TLS{SHA256: "a", Key: "k"}), pinned("p")), []string{"tls.intercepted", "tls.pin"}, ""},
	{"works, inspected by a trusted authority", failing("", "", turns(TLS{Key: "k", Issuer: "CN=corp"}), direct(Direct{TLS: &TLS{Key: "d", Issuer: "CN=public"}})), []string{"tls.intercepted"}, `"CN=public"`},
	{"works, two servers of one authority", failing("", "", turns(TLS{Key: "k", Issuer: "CN=public"}), direct(Direct{TLS: &TLS{Key: "d", Issuer: "CN=public"}})), nil, ""},
	{"works, another authority and the pinned key", failing("", "", turns(TLS{Key: "k", Issuer: "CN=a"}), pinned("k"), direct(Direct{TLS: &TLS{Key: "d", Issuer: "CN=b"}})), nil, ""},
	{"works, by one of two mechanisms", failing("", "", tried(ticket(TicketRefused, nil), Attempt{Mechanism: "NTLM", Outcome: Rejected, Error: "407"}, Attempt{Mechanism: "Basic", Outcome: Accepted})),
		[]string{"kerberos.ticket-refused", "auth.mechanism-broken"}, ""},
	{"other name", failing(StageTURNTLS, KindName, turns(TLS{SHA256: "a"}), direct(Direct{TLS: &TLS{SHA256: "a"}})), []string{"tls.name"}, ""},
	{"other name, another certificate", failing(StageTURNTLS, KindName, turns(TLS{SHA256: "a"}), direct(Direct{TLS: &TLS{SHA256: "b"}})), []string{"tls.intercepted"}, ""},
	{"expired", failing(StageTURNTLS, KindExpired, turns(TLS{SHA256: "a"})), []string{"tls.expired"}, ""},
	{"TLS alert", failing(StageTURNTLS, KindTLS, turns(TLS{})), []string{"tls.failed"}, ""},
	{"not TLS", failing(StageTURNTLS, KindNotTLS, first(BytesElse)), []string{"turn.not-tls"}, ""},
	{"page in the tunnel", failing(StageTURNTLS, KindNotTLS, first(BytesHTML)), []string{"proxy.login-page"}, ""},
	{"cut at ClientHello", failing(StageTURNTLS, KindClosed, direct(Direct{Reached: "STUN"})), []string{"tunnel.closed-after-first-bytes"}, "the TURN server answers"},
	{"server closes at ClientHello", failing(StageTURNTLS, KindClosed, direct(Direct{Reached: "TCP"})), []string{"turn.not-tls"}, "the same"},
	{"TLS silent", failing(StageTURNTLS, KindTimeout, direct(Direct{Reached: "nothing"})), []string{"turn.silent"}, ""},
	{"cut at STUN", failing(StageBinding, KindClosed), []string{"tunnel.closed-after-first-bytes"}, ""},
	{"server closes at STUN", failing(StageBinding, KindClosed, direct(Direct{Reached: "TCP"})), []string{"turn.not-turn"}, ""},
	{"inspected, then closed", failing(StageBinding, KindClosed, first(BytesTLS), turns(TLS{SHA256: "a"}), direct(Direct{Reached: "STUN", TLS: &TLS{SHA256: "b"}})), []string{"tls.intercepted"}, ""},
	{"inspected, then silent", failing(StageBinding, KindTimeout, first(BytesTLS), turns(TLS{SHA256: "a"}), direct(Direct{Reached: "STUN", TLS: &TLS{SHA256: "b"}})), []string{"tls.intercepted"}, ""},
	{"something else", failing(StageBinding, KindTimeout, first(BytesElse)), []string{"turn.not-turn"}, ""},
	{"STUN silent", failing(StageBinding, KindTimeout), []string{"turn.silent"}, ""},
	{"cut later", failing(StageAllocate, KindClosed, first(BytesSTUN)), []string{"tunnel.cut"}, ""},
	{"TURN password", failing(StageAllocate, KindTURNUser, first(BytesSTUN)), []string{"turn.rejected"}, ""},
	{"TURN quota", failing(StageAllocate, KindTURN, first(BytesSTUN), turnCode(486)), []string{"turn.error"}, ""},
	{"TURN peer", failing(StageMedia, KindTURN, turnCode(403)), []string{"turn.peer-forbidden"}, ""},
	{"TURN channel", failing(StageMedia, KindTURN, turnCode(508)), []string{"turn.error"}, ""},
	{"second tunnel", failing(StageMedia, KindSecond), []string{"media.second-tunnel"}, ""},
	{"nothing back", failing(StageMedia, KindLost, func(r *Report) { r.Media = &Media{Sent: 3} }), []string{"media.lost"}, "3 sent"},
	{"cut in media", failing(StageMedia, KindClosed, first(BytesSTUN)), []string{"tunnel.cut"}, ""},
	{"unheard of", failing(StageMedia, KindOther), []string{"path.other"}, "what the stage saw"},
}

func TestExplain(t *testing.T) {
	for _, c := range explainTable {
		t.Run(c.name, func(t *testing.T) {
			got := Explain(c.report)
			if !slices.Equal(codesOf(got), c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if len(got) > 0 && !strings.Contains(got[0].Fact, c.fact) {
				t.Errorf("fact %q, want %q in it", got[0].Fact, c.fact)
			}
			for _, f := range got {
				if f.Fact == "" || f.Cause == "" || f.Action == "" || f.Confidence == "" {
					t.Errorf("%+v lacks something", f)
				}
			}
			if again := Explain(c.report); !reflect.DeepEqual(again, got) {
				t.Errorf("the second time: %v, want %v", again, got)
			}
		})
	}
}

// The document holds all that Explain needs.
func TestExplainFromJSON(t *testing.T) {
	for _, c := range explainTable {
		text, err := json.Marshal(c.report)
		if err != nil {
			t.Fatal(err)
		}
		var back Report
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got, want := Explain(back), Explain(c.report); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}

// Every code of the catalogue has a row that leads to it first or after others, and stands there once.
func TestCatalogue(t *testing.T) {
	reached := make(map[string]bool)
	for _, c := range explainTable {
		for _, code := range c.want {
			reached[code] = true
		}
	}
	seen := make(map[string]bool)
	for _, e := range Catalogue {
		if seen[e.Code] {
			t.Errorf("%s stands in the catalogue twice", e.Code)
		}
		if seen[e.Code] = true; !reached[e.Code] {
			t.Errorf("no row of the table ends in %s", e.Code)
		}
	}
}
