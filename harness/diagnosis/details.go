package diagnosis

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteDetails writes what the stages' lines leave out: the decoded exchanges, certificates, probes.
func WriteDetails(w io.Writer, r *Report) {
	if r.Route != nil {
		for _, line := range r.Route.lines() {
			fmt.Fprint(w, wrapped("", line))
		}
	}
	for i, q := range r.Requests {
		fmt.Fprintf(w, "request %d %s\n", i+1, q.text())
	}
	for _, a := range r.Attempts {
		fmt.Fprintf(w, "%s: %s, requests with credentials: %d\n", a.Mechanism, a.Outcome, a.Requests)
		for _, line := range a.lines() {
			fmt.Fprint(w, wrapped("  ", line))
		}
	}
	if s, failed := r.Failure(); failed && len(s.Error) > maxError {
		fmt.Fprint(w, wrapped(s.Name+": ", s.Error))
	}
	for _, p := range r.Probes {
		fmt.Fprintf(w, "probe %s: %s\n", p.Change, answered(p.Status))
	}
	writeTLS(w, "proxy", r.ProxyTLS)
	writeTLS(w, "TURN server, through the proxy", r.TunnelTLS)
	switch d := r.Direct; {
	case d == nil || d.TLS == nil:
	case r.TunnelTLS != nil && d.TLS.SHA256 == r.TunnelTLS.SHA256 && d.TLS.SHA256 != "":
		fmt.Fprintln(w, "certificate of the TURN server, without the proxy: the same")
	default:
		writeTLS(w, "TURN server, without the proxy", d.TLS)
	}
}

func answered(status int) string {
	if status == 0 {
		return "no answer"
	}
	return fmt.Sprintf("status %d", status)
}

func (q Request) text() string {
	with := "without credentials"
	if q.Mechanism != "" {
		with = "with " + q.Mechanism
	}
	if q.Status == 0 {
		return with + ": no answer"
	}
	text := fmt.Sprintf("%s: %d %s", with, q.Status, q.Reason)
	if len(q.Offered) > 0 {
		text += ", offers " + strings.Join(q.Offered, ", ")
	}
	if q.Status == 407 && !q.KeepAlive {
		text += ", and closes the connection"
	}
	return text
}

// lines are what is known of an attempt, decoded.
func (a Attempt) lines() (lines []string) {
	if a.NTLM != nil {
		lines = append(lines, a.NTLM.lines()...)
	}
	if a.Ticket != nil {
		lines = append(lines, a.Ticket.lines()...)
	}
	if k := a.KDC; k != nil && k.Code != 0 {
		lines = append(lines, fmt.Sprintf("KRB-ERROR %d %s of KDC %s to %s for %s%s", k.Code, k.Name, k.Address, k.Principal, k.Service, clock("its clock", k.OffsetSeconds)))
	}
	if a.Error != "" {
		lines = append(lines, a.Error)
	}
	return lines
}

func (n *NTLM) lines() (lines []string) {
	lines = append(lines, fmt.Sprintf("challenge of domain %q (%s), server %q (%s)%s", n.Domain, orNone(n.DNSDomain), n.Server, orNone(n.DNSServer), clock("its clock", n.OffsetSeconds)))
	system := ""
	if n.Windows != "" {
		system = ", system " + n.Windows
	}
	wrapped := ""
	if n.SPNEGO {
		wrapped = ", in SPNEGO"
	}
	lines = append(lines, fmt.Sprintf("flags %s: %s%s%s", n.Flags, strings.Join(n.FlagNames, " "), system, wrapped))
	for _, oddity := range n.Oddities {
		lines = append(lines, "worked around: "+oddity)
	}
	return lines
}

func (t *Ticket) lines() []string {
	lines := []string{fmt.Sprintf("ticket of %s for %s, %s, key version %d, until %s%s", t.Client, t.Service, orNone(t.Etype), t.KVNO,
		t.Ends.UTC().Format(time.RFC3339), clock("the KDC's clock", t.OffsetSeconds))}
	if len(t.Replies) > 0 {
		lines = append(lines, "the proxy's answers: "+strings.Join(t.Replies, "; "))
	}
	return lines
}

// clock says how far a clock is from ours, "" where that is no more than the messages can tell.
func clock(whose string, offset float64) string {
	d := time.Duration(offset * float64(time.Second))
	if d.Abs() < 2*time.Second {
		return ""
	}
	return fmt.Sprintf("; %s minus ours is %v", whose, d)
}

func orNone(s string) string {
	if s == "" {
		return "not said"
	}
	return s
}

func writeTLS(w io.Writer, whose string, t *TLS) {
	if t == nil || t.SHA256 == "" {
		return
	}
	fmt.Fprintf(w, "certificate of the %s:\n  %q by %q, until %s, for %s\n  certificate sha256:%s\n  key         %s\n", whose,
		t.Subject, t.Issuer, t.NotAfter.Format("2006-01-02"), list(t.Names), t.SHA256, t.Key)
	if len(t.Chain) > 0 {
		fmt.Fprintf(w, "  chain       %s\n", strings.Join(t.Chain, " <- "))
	}
	alpn := t.ALPN
	if alpn == "" {
		alpn = "none"
	}
	fmt.Fprintf(w, "  asked for name %q; protocol agreed upon (ALPN): %s\n", t.ServerName, alpn)
}
