package diagnosis

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// A Browser is what one would do on this path: browsers do not sign in to a proxy for WebRTC as they do
// for pages.
type Browser struct {
	Name   string `json:"name"`
	Expect string `json:"expect"`
}

// Browsers tells from what was seen what Chromium (and Chrome, Edge) and Firefox would do, as Chromium 156
// and Firefox 153 were seen to. It returns none where the proxy was not reached. It is pure.
func Browsers(r Report) []Browser {
	if r.Answer == nil && r.Stage(StageConnect).Outcome != OK {
		return nil
	}
	b := browsers{r: &r}
	return []Browser{{"Chromium", b.chromium()}, {"Firefox", b.firefox()}}
}

type browsers struct{ r *Report }

// offers tells whether the proxy offers a scheme; case does not matter.
func (b browsers) offers(scheme string) bool {
	return slices.ContainsFunc(b.r.Answer.Offered, func(s string) bool { return strings.EqualFold(s, scheme) })
}

// passwords are the offered schemes that take a password, best first in Chromium's eyes.
func (b browsers) passwords() (schemes []string) {
	for _, scheme := range []string{"NTLM", "Digest", "Basic"} {
		if b.offers(scheme) {
			schemes = append(schemes, scheme)
		}
	}
	return schemes
}

func (b browsers) asks() bool { return b.r.Answer != nil && b.r.Answer.Status == 407 }

// helps tells whether a change of the request turned a refusal into something else.
func (b browsers) helps(change string) bool {
	return slices.ContainsFunc(b.r.Probes, func(p Probe) bool { return p.Change == change && p.Status != 0 && p.Status != b.r.Answer.status() })
}

// chromium never asks for a password for WebRTC: it uses a ticket, or what a page made it ask for.
func (b browsers) chromium() string {
	switch {
	case b.forbiddenPort() != "":
		return fmt.Sprintf("does not use port %s for TURN: only 53, 80, 443 and those from 1024", b.forbiddenPort())
	case b.helps(ProbeUserAgent):
		return "is refused: it sends no User-Agent for WebRTC"
	case b.r.Answer == nil:
		return "gets the tunnel: the proxy asks for nothing"
	case !b.asks():
		return "is refused, as this check was"
	}
	passwords := b.passwords()
	cached := fmt.Sprintf("%s only if a page was loaded through this proxy before and asked for the password%s; it never asks for WebRTC, which then fails (net error -127, icecandidateerror 701)",
		best(passwords), b.policy(passwords))
	switch {
	case b.offers("Negotiate") && len(passwords) == 0:
		return "needs the user's Kerberos ticket, and no setting; without one WebRTC fails (net error -115)"
	case b.offers("Negotiate"):
		return "uses the user's Kerberos ticket, with no setting; without one " + cached
	case len(passwords) == 0:
		return "knows none of the schemes that the proxy offers"
	}
	return "uses " + cached
}

// firefox asks, and the page waits without a word.
func (b browsers) firefox() string {
	switch {
	case b.helps(ProbeALPN):
		return "is refused: it sends ALPN: webrtc,c-webrtc with CONNECT"
	case b.r.Answer == nil:
		return "gets the tunnel: the proxy asks for nothing"
	case b.helps(ProbeUserAgent):
		return "is let in: it sends a User-Agent"
	case !b.asks():
		return "is refused, as this check was"
	case b.offers("Negotiate"):
		return "uses the user's Kerberos ticket, with no setting; without one it may ask for a password, and until that is given the page waits for candidates without an error"
	case len(b.passwords()) == 0:
		return "knows none of the schemes that the proxy offers"
	}
	return "asks for the password unless a page did before; until it is given the page waits for candidates without an error"
}

// policy names the one that can forbid the only scheme left.
func (b browsers) policy(passwords []string) string {
	if _, _, secure := proxyAddress(b.r.Proxy); !secure && slices.Equal(passwords, []string{"Basic"}) {
		return " and the policy BasicAuthOverHttpEnabled allows it"
	}
	return ""
}

// forbiddenPort is the target's, if libwebrtc does not use it for TURN (TurnPort::AllowedTurnPort).
func (b browsers) forbiddenPort() string {
	_, text, _ := net.SplitHostPort(b.r.Target)
	port, err := strconv.Atoi(text)
	if err != nil || port >= 1024 || slices.Contains([]int{53, 80, 443}, port) {
		return ""
	}
	return text
}

func best(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return words[0]
}

// WriteBrowsers writes what the browsers would do.
func WriteBrowsers(w io.Writer, r Report) {
	list := Browsers(r)
	if len(list) > 0 {
		fmt.Fprintln(w, "\nbrowsers (WebRTC over TURN, by what this proxy offers):")
	}
	for _, b := range list {
		fmt.Fprint(w, wrapped(fmt.Sprintf("  %-10s", b.Name), b.Expect))
	}
}
