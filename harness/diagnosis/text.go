package diagnosis

import (
	"fmt"
	"io"
	"strings"
)

// Line is one line about a stage, for a terminal.
func (s Stage) Line() string {
	took := ""
	if s.Outcome == OK || s.Outcome == Failed {
		took = fmt.Sprintf("%.1f ms", s.Milliseconds)
	}
	text := s.Detail
	if s.Error != "" {
		text = s.Error
	}
	return strings.TrimRight(fmt.Sprintf("%-8s %-15s %10s  %s", s.Outcome, s.Name, took, text), " ")
}

// Verdict is one line about the whole.
func (r *Report) Verdict() string {
	failure, failed := r.Failure()
	switch {
	case r.Interrupted:
		return "interrupted: not judged"
	case failed:
		return "fails at " + failure.Name
	case !r.Through() || r.Media == nil:
		return "not judged"
	case len(Explain(*r)) > 0:
		return fmt.Sprintf("works, with a reservation: datagrams come back through the proxy, RTT p50 %.1f ms", r.Media.RTTp50)
	}
	return fmt.Sprintf("works: datagrams come back through the proxy, RTT p50 %.1f ms", r.Media.RTTp50)
}

// WriteDirect writes the line about the way without the proxy.
func WriteDirect(w io.Writer, d *Direct) {
	if d == nil {
		return
	}
	reached := "as far as " + d.Reached
	switch d.Reached {
	case "STUN":
		reached = "the TURN server answers"
	case "nothing":
		reached = "not reached"
	}
	fmt.Fprintf(w, "%-8s %-15s %7.1f ms  %s\n", "beside", "without proxy", d.Milliseconds, reached)
}

// maxShown is how many findings the text has; the document has all.
const maxShown = 3

// WriteFindings writes the verdict and the first findings: the fact, the cause, what to do.
func WriteFindings(w io.Writer, r *Report, findings []Finding) {
	verdict := r.Verdict()
	if len(findings) > 0 {
		verdict += " (" + findings[0].Code + ")"
	}
	fmt.Fprintf(w, "\nverdict: %s\n", verdict)
	for i, f := range findings {
		if i == maxShown {
			break
		}
		fmt.Fprintf(w, "\n%s (%s)\n  fact:  %s\n  cause: %s\n  hint:  %s\n", f.Code, f.Confidence, f.Fact, f.Cause, f.Action)
	}
}

// WriteDetails writes what the stages' lines leave out: requests, mechanisms, certificates, probes.
func WriteDetails(w io.Writer, r *Report) {
	for i, q := range r.Requests {
		with := "without credentials"
		if q.Mechanism != "" {
			with = "with " + q.Mechanism
		}
		fmt.Fprintf(w, "request %d %s: %d %s, offers %s, keep-alive %v\n", i+1, with, q.Status, q.Reason, list(q.Offered), q.KeepAlive)
	}
	for _, a := range r.Attempts {
		fmt.Fprintf(w, "%s: %s, requests %d", a.Mechanism, a.Outcome, a.Requests)
		if a.NTLM != nil {
			fmt.Fprintf(w, "; challenge of domain %q, server %q, flags %s", a.NTLM.Domain, a.NTLM.Server, a.NTLM.Flags)
		}
		if a.Error != "" {
			fmt.Fprintf(w, "; %s", a.Error)
		}
		fmt.Fprintln(w)
	}
	for _, p := range r.Probes {
		fmt.Fprintf(w, "probe %s: status %d\n", p.Change, p.Status)
	}
	for _, t := range []struct {
		name string
		tls  *TLS
	}{{"proxy", r.ProxyTLS}, {"TURN server through the proxy", r.TunnelTLS}} {
		if t.tls != nil && t.tls.SHA256 != "" {
			fmt.Fprintf(w, "certificate of the %s: %q by %q, until %s, SHA-256 %s\n", t.name, t.tls.Subject, t.tls.Issuer, t.tls.NotAfter.Format("2006-01-02"), t.tls.SHA256)
		}
	}
}
