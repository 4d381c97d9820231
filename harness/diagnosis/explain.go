package diagnosis

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// A Confidence says how much a finding is worth.
type Confidence string

// The confidences, best first.
const (
	Certain  Confidence = "certain"
	Likely   Confidence = "likely"
	Possible Confidence = "possible"
)

// A Finding is an explanation of what a report holds.
type Finding struct {
	Code       string     `json:"code"` // see Catalogue
	Confidence Confidence `json:"confidence"`
	Fact       string     `json:"fact"`          // what was seen
	Cause      string     `json:"cause"`         // why that is so
	Log        string     `json:"log,omitempty"` // which log tells causes apart that the wire does not
	Action     string     `json:"action"`        // what to do next
}

// Explain says why a path failed, the best explanation first, or what is wrong with one that works. It
// returns nothing for a path that is sound and for one that was interrupted. It is pure.
func Explain(r Report) []Finding {
	failure, failed := r.Failure()
	e := &explainer{r: &r, s: failure}
	if !failed {
		e.reservations()
		return e.findings
	}
	if failure.Kind == KindCanceled {
		return nil
	}
	explain := map[string]func(){
		StageFind: e.route, StageResolve: e.reaching, StageTCP: e.reaching, StageProxyTLS: e.proxyTLS, StageConnect: e.connect,
		StageAuth: e.authentication, StageTunnel: e.tunnel, StageTURNTLS: e.tunnelTLS,
		StageBinding: e.turn, StageAllocate: e.turn, StageMedia: e.media,
		StageQuality: e.media, StageBursts: e.media, StageReconnect: e.media, StageRate: e.media, StageSizes: e.media, StageIdle: e.media, StageLifetime: e.media,
	}[failure.Name]
	if explain != nil {
		explain()
	}
	if len(e.findings) == 0 {
		e.add("path.other", Possible, "%s: %s", failure.Name, failure.Error)
	}
	return e.findings
}

// explainer gathers the findings for one failed stage.
type explainer struct {
	r        *Report
	s        Stage
	findings []Finding
}

// add adds a finding, or another fact to one of this code.
func (e *explainer) add(code string, c Confidence, format string, args ...any) {
	for i := range e.findings {
		if f := &e.findings[i]; f.Code == code {
			f.Fact += "; " + fmt.Sprintf(format, args...)
			return
		}
	}
	about := entry(code)
	e.findings = append(e.findings, Finding{code, c, fmt.Sprintf(format, args...), about.Cause, about.Log, about.Action})
}

func (e *explainer) host() string {
	host, _, _ := proxyAddress(e.r.Proxy)
	return host
}

// reaching is about the name of the proxy and the connection to it.
func (e *explainer) reaching() {
	switch e.s.Kind {
	case KindUnknownName:
		e.add("proxy.unknown-name", Certain, "%s has no address: %s", e.host(), e.s.Error)
	case KindTimeout:
		e.add("proxy.timeout", Certain, "%s: no answer within %s", e.s.Name, e.took())
	default:
		e.add("proxy.unreachable", Certain, "%s", e.s.Error)
	}
}

func (e *explainer) took() string {
	return time.Duration(e.s.Milliseconds * float64(time.Millisecond)).Round(10 * time.Millisecond).String()
}

func (e *explainer) proxyTLS() {
	switch e.s.Kind {
	case KindTimeout: // an http proxy waits for the end of a line
		e.add("proxy.tls", Likely, "the proxy accepts the connection, and does not answer with TLS within %s", e.took())
		e.add("proxy.timeout", Possible, "TLS to the proxy: no answer within %s", e.took())
	default:
		e.add("proxy.tls", Certain, "%s%s", e.s.Error, issuedBy(e.r.ProxyTLS))
	}
}

func issuedBy(t *TLS) string {
	if t == nil || t.Issuer == "" {
		return ""
	}
	return fmt.Sprintf(" (certificate of %q, issued by %q)", t.Subject, t.Issuer)
}

// connect is about CONNECT without credentials.
func (e *explainer) connect() {
	switch e.s.Kind {
	case KindTimeout:
		e.add("proxy.timeout", Certain, "the proxy accepts the connection, and does not answer CONNECT within %s", e.took())
	case KindClosed:
		for _, p := range e.r.Probes {
			if p.TLS {
				e.add("proxy.not-http", Certain, "the proxy closes a connection without TLS, and answers to TLS at the same port")
				return
			}
		}
		e.add("proxy.closed", Certain, "the proxy closed the connection instead of answering CONNECT")
	case KindNotHTTP:
		e.add("proxy.not-http", Certain, "%s", e.s.Error)
	case KindRefused:
		e.refusal(e.r.Answer)
	}
}

// refusal is about a status that is neither 2xx nor a challenge, before any challenge.
func (e *explainer) refusal(a *Answer) {
	if a == nil {
		return
	}
	e.status(a, func() { e.forbidden(a) })
}

// status is about what a status says by itself, before and after authentication; forbidden is for the
// others.
func (e *explainer) status(a *Answer, forbidden func()) {
	switch {
	case a.Status/100 == 3, a.Status == 511:
		to := ""
		if a.Location != "" {
			to = " to " + a.Location
		}
		e.add("proxy.login-page", Certain, "the proxy answers CONNECT with %s%s", words(a), to)
	case a.Status == 431, a.Status == 413, a.Status == 414:
		e.add("proxy.header-too-large", Certain, "the proxy answers CONNECT with %s", words(a))
	case a.Status/100 == 5:
		e.add("proxy.target-unreachable", Likely, "the proxy answers CONNECT with %s%s; %s", words(a), squid(a), e.beside())
	default:
		forbidden()
	}
}

func words(a *Answer) string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Reason)) }

func squid(a *Answer) string {
	if a.Squid == "" {
		return ""
	}
	return " (" + a.Squid + ")"
}

// beside says how far the way without the proxy led.
func (e *explainer) beside() string {
	switch d := e.r.Direct; {
	case d == nil:
		return "the way without the proxy was not tried"
	case d.Reached == "STUN":
		return "without the proxy, the TURN server answers"
	case d.Reached == "nothing":
		return "without the proxy, the TURN server is not reached either"
	default:
		return "without the proxy, we get as far as " + d.Reached
	}
}

// forbidden is about a refusal; the probes tell what it hangs on.
func (e *explainer) forbidden(a *Answer) {
	host, port, _ := net.SplitHostPort(e.r.Target)
	fact := fmt.Sprintf("the proxy answers CONNECT to %s with %s%s before it asks who we are", e.r.Target, words(a), squid(a))
	for _, p := range e.r.Probes {
		code := map[string]string{ProbePort: "proxy.ssl-ports", ProbeUserAgent: "proxy.user-agent", ProbeALPN: "proxy.alpn", ProbeName: "proxy.ip-target"}[p.Change]
		if code != "" && p.Status != 0 && p.Status != a.Status {
			e.add(code, Certain, "%s; the same request %s gets %d", fact, probed(p.Change), p.Status)
		}
	}
	if len(e.findings) > 0 {
		return // the cause is known
	}
	e.add("proxy.refused", Likely, "%s", fact)
	if port != "443" && !e.probed(ProbePort) {
		e.add("proxy.ssl-ports", Possible, "port %s is not 443", port)
	}
	if net.ParseIP(host) != nil {
		e.add("proxy.ip-target", Possible, "%s is an address", host)
	}
}

// probed says in words what a probe changed.
func probed(change string) string {
	if change == ProbePort {
		return "for port 443"
	}
	return change
}

// probed tells whether a probe was answered.
func (e *explainer) probed(change string) bool {
	for _, p := range e.r.Probes {
		if p.Change == change && p.Status != 0 {
			return true
		}
	}
	return false
}

// tunnel is about the answer to a request with accepted credentials.
func (e *explainer) tunnel() {
	if e.r.direct() {
		e.noWayThrough()
		return
	}
	a := e.r.Refusal
	if a == nil {
		return
	}
	e.status(a, func() { e.forbiddenUser(a) })
}

// forbiddenUser is about a refusal of somebody whom the proxy knows. Another answer for port 443 tells a
// rule on ports, unless it is about the connection to the target.
func (e *explainer) forbiddenUser(a *Answer) {
	fact := fmt.Sprintf("the proxy takes the credentials and answers CONNECT to %s with %s%s", e.r.Target, words(a), squid(a))
	port := 0
	for _, p := range e.r.Probes {
		if p.Change == ProbePort && p.Status != a.Status && p.Status != 401 && p.Status != 407 {
			port = p.Status
		}
	}
	if port/100 == 2 {
		e.add("proxy.ssl-ports", Certain, "%s; the same request for port 443 gets %d", fact, port)
		return
	}
	e.add("proxy.refused-after-auth", Certain, "%s", fact)
	if port != 0 {
		e.add("proxy.ssl-ports", Likely, "the same request for port 443 gets %d", port)
	}
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
