package diagnosis

import (
	"strings"
	"testing"
)

// What browsers do on a path follows from what the proxy offers and refuses.
func TestBrowsers(t *testing.T) {
	offers := func(schemes ...string) func(*Report) { return answer(Answer{Status: 407, Offered: schemes}) }
	for _, c := range []struct {
		name              string
		report            Report
		chromium, firefox string // parts
	}{
		{"open", failing("", ""), "gets the tunnel", "gets the tunnel"},
		{"Negotiate", failing(StageAuth, KindNoCredential, offers("Negotiate")), "needs the user's Kerberos ticket, and no setting; without one WebRTC fails (net error -115)", "uses the user's Kerberos ticket"},
		{"all", failing("", "", offers("negotiate", "NTLM", "Basic")), "uses the user's Kerberos ticket, with no setting; without one NTLM only if a page", "it may ask for a password"},
		{"Digest before Basic", failing("", "", offers("Basic", "Digest")), "uses Digest only if a page was loaded", "asks for the password"},
		{"Basic in the clear", failing("", "", offers("Basic")), "BasicAuthOverHttpEnabled", "asks for the password"},
		{"Basic in TLS", failing("", "", proxyAt("https://p:1"), offers("Basic")), "asked for the password; it never asks", "asks for the password"},
		{"other schemes", failing("", "", offers("Bearer")), "knows none of the schemes", "knows none of the schemes"},
		{"User-Agent wanted", failing(StageConnect, KindRefused, answer(Answer{Status: 403}), probes(Probe{Change: ProbeUserAgent, Status: 407})), "is refused: it sends no User-Agent", "is let in: it sends a User-Agent"},
		{"ALPN refused", failing(StageConnect, KindRefused, answer(Answer{Status: 403}), probes(Probe{Change: ProbeALPN, Status: 407})), "is refused, as this check was", "is refused: it sends ALPN"},
		{"port", failing("", "", target("turn.corp:636")), "does not use port 636", "gets the tunnel"},
	} {
		got := Browsers(c.report)
		if len(got) != 2 || !strings.Contains(got[0].Expect, c.chromium) || !strings.Contains(got[1].Expect, c.firefox) {
			t.Errorf("%s: got %q, want %q and %q", c.name, got, c.chromium, c.firefox)
		}
	}
	if got := Browsers(failing(StageTCP, KindTimeout)); got != nil {
		t.Errorf("got %v without having reached the proxy", got)
	}
}

func TestWrapped(t *testing.T) {
	for _, c := range []struct{ label, text, want string }{
		{"  a: ", "", "  a: \n"},
		{"  a: ", "one two", "  a: one two\n"},
		{"> ", strings.Repeat("abcdefghi ", 11), "> " + strings.TrimSpace(strings.Repeat("abcdefghi ", 9)) + "\n  abcdefghi abcdefghi\n"},
		{"> ", strings.Repeat("x", 200) + " y", "> " + strings.Repeat("x", 200) + "\n  y\n"},
	} {
		if got := wrapped(c.label, c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestWithoutUserinfo(t *testing.T) {
	got := withoutUserinfo([]string{"--proxy", "http://a:b@p:1", "--proxy=http://a:b@p:1", "--turn", "turn:h:1", "user@corp", "http://p:1"})
	if text := strings.Join(got, " "); text != "--proxy http://(user)@p:1 --proxy=http://(user)@p:1 --turn turn:h:1 user@corp http://p:1" {
		t.Errorf("got %s", text)
	}
	for text, want := range map[string]string{"a:b@p:1": "http://(user)@p:1", "http://p:1": "http://p:1", "http://a:%zz@p": "(not a URL)"} {
		if got := hideUserinfo(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
