package diagnosis

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// authentication is about what became of the credentials.
func (e *explainer) authentication() {
	switch e.s.Kind {
	case KindRejected:
		e.rejected()
	case KindNoScheme:
		if !e.withheld() {
			e.noScheme()
		}
	case KindCleartext:
		e.kerberos()
		e.add("auth.cleartext", Certain, "the proxy offers %s; the URL is http://%s", e.offered(), e.cleartextProxy())
	case KindNoCredential:
		e.kerberos()
		if len(e.findings) < e.without() {
			e.add("auth.no-credential", Certain, "the proxy offers %s; %s", e.offered(), e.why())
		}
	case KindTimeout:
		e.timeout()
	case KindNotKept:
		e.add("ntlm.connection-not-kept", Certain, "%s: the proxy answers the first leg and says that it closes the connection", e.last().Mechanism)
	case KindNoChallenge:
		e.noChallenge()
	case KindEndless:
		e.add("proxy.endless-challenges", Certain, "%s: after %d requests with credentials the proxy still challenges", e.last().Mechanism, e.last().Requests)
	case KindClosed:
		e.closed()
	case KindUnreachable:
		e.add("proxy.unreachable", Certain, "a second connection: %s", e.s.Error)
	default:
		if e.kerberos(); len(e.findings) == 0 {
			e.add("proxy.auth-failed", Likely, "%s", e.s.Error)
		}
	}
}

func (e *explainer) offered() string {
	if e.r.Answer == nil {
		return "nothing"
	}
	return list(e.r.Answer.Offered)
}

// last is the last mechanism that was tried.
func (e *explainer) last() (last Attempt) {
	for _, a := range e.r.Attempts {
		if a.Outcome != NotOffered && a.Outcome != NotTried {
			last = a
		}
	}
	return last
}

func (e *explainer) noScheme() {
	var ours []string
	for _, a := range e.r.Attempts {
		ours = append(ours, a.Mechanism)
	}
	e.add("proxy.no-common-scheme", Certain, "the proxy offers %s; we were to use %s", e.offered(), list(ours))
}

// without counts the mechanisms that had nothing.
func (e *explainer) without() (n int) {
	for _, a := range e.r.Attempts {
		if a.Outcome == NoCredential || a.Outcome == TicketRefused {
			n++
		}
	}
	return n
}

// why tells what each mechanism lacked.
func (e *explainer) why() string {
	var lines []string
	for _, a := range e.r.Attempts {
		if a.Error != "" {
			lines = append(lines, a.Mechanism+": "+a.Error)
		}
	}
	if len(lines) == 0 {
		return "no mechanism could begin"
	}
	return strings.Join(lines, "; ")
}

// rejected is about a password or a ticket that somebody does not accept.
func (e *explainer) rejected() {
	for _, a := range e.r.Attempts {
		switch {
		case a.Outcome == Rejected && a.KDC != nil && a.KDC.Code != 0:
			e.kdc(a)
		case a.Outcome == Rejected && a.NTLM != nil && a.NTLM.Challenges > 1:
			e.add("proxy.endless-challenges", Likely, "%s: the proxy answers the response with another challenge, which is no plain refusal%s", a.Mechanism, e.notTried())
			e.add("proxy.auth-rejected", Possible, "%s: %s", a.Mechanism, a.reason())
		case a.Outcome == Rejected:
			e.add("proxy.auth-rejected", Likely, "%s: %s%s", a.Mechanism, a.reason(), e.notTried())
			if a.NTLM != nil {
				e.add("ntlm.multiplexed", Possible, "the proxy challenged (domain %q), and answers the response with a challenge for everybody", a.NTLM.Domain)
			}
		}
	}
	for _, a := range e.r.Attempts {
		if a.Outcome == TicketRefused {
			e.ticketRefused(a)
		}
	}
	if len(e.findings) == 0 {
		e.add("proxy.auth-rejected", Likely, "%s", e.s.Error)
		return
	}
	e.gaveWay()
}

// ticketRefused says what was shown; of why the proxy says little or nothing.
func (e *explainer) ticketRefused(a Attempt) {
	t := a.Ticket
	if t == nil {
		e.add("kerberos.ticket-refused", Likely, "%s: %s", a.Mechanism, a.reason())
		return
	}
	said := "another challenge and no more"
	if len(t.Replies) > 0 {
		said = strings.Join(t.Replies, "; ")
	}
	e.add("kerberos.ticket-refused", Likely, "the KDC gave %s a ticket for %s (%s, key version %d); the proxy answers it with %s", t.Client, t.Service, orNone(t.Etype), t.KVNO, said)
}

// reason is an attempt's error without the name of the mechanism, which stands before it.
func (a Attempt) reason() string {
	return strings.TrimPrefix(a.Error, strings.ToLower(a.Mechanism)+": ")
}

// refusedMechanisms is about what was not taken where another mechanism was: with the same password it
// is the verifier that is broken. An acceptor of Negotiate that knows only one of Kerberos and NTLM is
// none.
func (e *explainer) refusedMechanisms() {
	accepted := ""
	for _, a := range e.r.Attempts {
		if a.Outcome == Accepted && accepted == "" {
			accepted = a.Mechanism
		}
	}
	for _, a := range e.r.Attempts {
		switch {
		case accepted == "":
		case a.Outcome == TicketRefused && !strings.Contains(a.Error, noKerberos):
			e.ticketRefused(a)
		case a.Outcome == Rejected:
			e.add("auth.mechanism-broken", Likely, "%s is accepted, and %s is not: %s", accepted, a.Mechanism, a.reason())
		}
	}
}

// noChallenge is about a proxy that does not answer NTLM's first message: under Negotiate it knows
// Kerberos alone, else it has forgotten the handshake.
func (e *explainer) noChallenge() {
	e.kerberos()
	if a := e.last(); a.Mechanism == "NTLM" {
		e.add("ntlm.multiplexed", Likely, "the proxy answers NTLM's first message with the challenge for everybody")
		return
	}
	e.add("negotiate.kerberos-only", Likely, "there is no Kerberos ticket (%s), and to NTLM under Negotiate the proxy answers with no challenge", e.why())
}

// drift is about a clock that Kerberos still bears with.
func (e *explainer) drift() {
	for _, a := range e.r.Attempts {
		if a.Ticket == nil || a.Outcome != Accepted {
			continue
		}
		if offset := time.Duration(a.Ticket.OffsetSeconds * float64(time.Second)); offset.Abs() > 2*time.Minute {
			e.add("kerberos.clock-skew", Likely, "the KDC's clock minus ours is %v; from 5 minutes on it refuses", offset)
		}
	}
}

// notTried names what the budget held back.
func (e *explainer) notTried() string {
	var names []string
	for _, a := range e.r.Attempts {
		if a.Outcome == NotTried {
			names = append(names, a.Mechanism)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; not tried after that: " + strings.Join(names, ", ")
}

// gaveWay adds what Kerberos met before another mechanism was rejected.
func (e *explainer) gaveWay() {
	for _, a := range e.r.Attempts {
		if a.Outcome == NoCredential && a.KDC != nil {
			e.kdc(a)
		}
	}
}

// kerberos adds what KDCs said to mechanisms that had nothing in the end.
func (e *explainer) kerberos() {
	for _, a := range e.r.Attempts {
		switch {
		case a.Outcome == TicketRefused:
			e.ticketRefused(a)
		case a.KDC != nil:
			e.kdc(a)
		case a.Outcome == NoCredential && a.Mechanism == "Kerberos" && net.ParseIP(e.host()) != nil:
			e.add("kerberos.proxy-address", Likely, "the proxy is %s; %s", e.host(), a.Error)
		}
	}
}

// kdcCodes are the codes of RFC 4120 section 7.5.9 that have an explanation of their own.
var kdcCodes = map[int32]string{
	1: "kerberos.client-revoked", 6: "kerberos.client-unknown", 7: "kerberos.spn-unknown", 14: "kerberos.etype",
	18: "kerberos.client-revoked", 23: "kerberos.client-revoked", 24: "kerberos.preauth-failed",
	31: "kerberos.preauth-failed", 37: "kerberos.clock-skew",
}

func (e *explainer) kdc(a Attempt) {
	k := a.KDC
	if k.Unreachable {
		e.add("kerberos.kdc-unreachable", Certain, "%s: %s", a.Mechanism, a.reason())
		return
	}
	code := kdcCodes[k.Code]
	if code == "" {
		code = "kerberos.error"
	}
	fact := fmt.Sprintf("KDC %s answers %s to %s for %s", k.Address, k.Name, k.Principal, k.Service)
	if offset := time.Duration(k.OffsetSeconds * float64(time.Second)); offset.Abs() > 2*time.Minute {
		fact += fmt.Sprintf("; its clock minus ours is %v", offset)
	}
	e.add(code, Certain, "%s", fact)
}

func (e *explainer) timeout() {
	e.kerberos()
	waiting := "for a KDC"
	if n := len(e.r.Requests); n > 0 && e.r.Requests[n-1].Status == 0 {
		if waiting = "for the proxy's answer to " + e.r.Requests[n-1].Mechanism; e.r.Requests[n-1].Mechanism == "" {
			waiting = "for the proxy's answer to CONNECT"
		}
	}
	e.add("auth.timeout", Certain, "after %s still waiting %s", e.took(), waiting)
}

// closed is about a connection that ends without an answer to credentials.
func (e *explainer) closed() {
	if a := e.last(); a.NTLM != nil {
		e.add("ntlm.closed-between-legs", Certain, "%s: the proxy sent its challenge (domain %q) and closed the connection instead of answering the response", a.Mechanism, a.NTLM.Domain)
		return
	}
	e.add("proxy.closed-on-credentials", Certain, "%s: the proxy closed the connection instead of answering", e.last().Mechanism)
}
