package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/turngate/turngate/proxyconnect"
)

// A Policy is the proxy's answer to CONNECT for another port, or for the address instead of the name.
type Policy struct {
	Target string `json:"target"`
	Status int    `json:"status"` // 0: none came
	// Credentials tells whether the request had any: only where the proxy had taken them before.
	Credentials bool `json:"credentials,omitempty"`
}

// turnPorts are those that TURN is usually served at.
var turnPorts = []string{"443", "3478", "5349"}

// askPolicy asks for tunnels that the check does not need, to learn the proxy's rules. What opens is closed
// at once.
func (w *walk) askPolicy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*w.timeout())
	defer cancel()
	d, known := w.bare(), false
	switch {
	case w.report.Answer == nil && w.report.Stage(StageConnect).Outcome != OK:
		return // the proxy does not answer
	case w.report.Stage(StageAuth).Outcome == OK:
		d, known = w.proven(), true
	}
	for _, target := range w.policyTargets(ctx) {
		p := Policy{Target: target, Credentials: known}
		conn, err := d.DialContext(ctx, "tcp", target)
		var ce *proxyconnect.ConnectError
		if err == nil {
			p.Status = 200
			conn.Close()
		} else if errors.As(err, &ce) {
			p.Status = ce.Status
		}
		w.report.Policy = append(w.report.Policy, p)
	}
}

// policyTargets are the usual ports by the name that was given, and the given port by address.
func (w *walk) policyTargets(ctx context.Context) (targets []string) {
	host, port := w.TURN.host(), w.TURN.port()
	for _, p := range turnPorts {
		if p != port {
			targets = append(targets, net.JoinHostPort(host, p))
		}
	}
	if net.ParseIP(host) == nil {
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if err == nil && len(addresses) > 0 {
			targets = append(targets, net.JoinHostPort(addresses[0], port))
		}
	}
	return targets
}

// words says what an answer means for a rule.
func (p Policy) words() string {
	switch {
	case p.Status == 0:
		return "no answer"
	case p.Status/100 == 2:
		return "let in"
	case p.Status == 407 && !p.Credentials:
		return "let in as far as authentication"
	case p.Status/100 == 5:
		return fmt.Sprintf("let in, and nothing is reached there (%d)", p.Status)
	}
	return fmt.Sprintf("refused (%d)", p.Status)
}

// WritePolicy writes the answers for other ports and for the address.
func WritePolicy(w io.Writer, policy []Policy) {
	for _, p := range policy {
		fmt.Fprintf(w, "%-8s %-15s %10s  %s\n", "policy", "CONNECT", "", p.Target+": "+p.words())
	}
}

// probeName asks for an address by the name that the reverse lookup gives: some proxies want names.
func (w *walk) probeName(ctx context.Context) {
	if net.ParseIP(w.TURN.host()) == nil {
		return
	}
	names, err := net.DefaultResolver.LookupAddr(ctx, w.TURN.host())
	if err != nil || len(names) == 0 {
		return
	}
	slices.Sort(names)
	w.probeOnce(ctx, ProbeName, net.JoinHostPort(strings.TrimSuffix(names[0], "."), w.TURN.port()), w.bare())
}
