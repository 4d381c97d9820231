//go:build linux

package ntlm_test

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// TestSambaVerifiesUs runs the client against Samba's ntlm_auth, spoken to as Squid does. Samba
// ignores the channel binding and the service's name; it checks proof, MIC and SPNEGO's signature.
func TestSambaVerifiesUs(t *testing.T) {
	w := startWinbind(t)
	right := ntlm.Client{User: sambaUser, Password: sambaPassword}
	spnego := ntlm.Client{User: sambaUser, Password: sambaPassword, SPNEGO: true}
	const notAlice, badMIC = "NA NT_STATUS_LOGON_FAILURE", "NA NT_STATUS_INVALID_PARAMETER"
	for _, c := range []struct {
		name, protocol string
		client         ntlm.Client
		tamper         tamper
		want           string
	}{
		{"password", "squid-2.5-ntlmssp", right, tamper{}, `AF PROXYSRV\alice`},
		{"NT hash", "squid-2.5-ntlmssp", ntlm.Client{User: sambaUser, NTHash: nlmp.NTHash(sambaPassword)}, tamper{}, `AF PROXYSRV\alice`},
		{"domain in user", "squid-2.5-ntlmssp", ntlm.Client{User: `PROXYSRV\alice`, Password: sambaPassword}, tamper{}, `AF PROXYSRV\alice`},
		{"domain in small letters", "squid-2.5-ntlmssp", ntlm.Client{User: `proxysrv\Alice`, Workstation: "DESK1", Password: sambaPassword}, tamper{}, `AF PROXYSRV\alice`},
		{"wrong password", "squid-2.5-ntlmssp", ntlm.Client{User: sambaUser, Password: "bad"}, tamper{}, notAlice},
		{"unknown user", "squid-2.5-ntlmssp", ntlm.Client{User: "mallory", Password: "bad"}, tamper{}, notAlice},
		{"MIC flipped", "squid-2.5-ntlmssp", right, tamper{response: flip(nlmp.OffsetMIC)}, badMIC},
		{"challenge altered on the way", "squid-2.5-ntlmssp", right, tamper{challenge: flip(20 + 3)}, badMIC},
		{"negotiate altered on the way", "squid-2.5-ntlmssp", right, tamper{negotiate: flip(32)}, badMIC},
		{"SPNEGO", "gss-spnego", spnego, tamper{}, `AF PROXYSRV\alice`},
		{"SPNEGO, domain and NT hash", "gss-spnego", ntlm.Client{User: `PROXYSRV\alice`, NTHash: nlmp.NTHash(sambaPassword), SPNEGO: true}, tamper{}, `AF PROXYSRV\alice`},
		{"SPNEGO, wrong password", "gss-spnego", ntlm.Client{User: sambaUser, Password: "bad", SPNEGO: true}, tamper{}, notAlice},
		{"SPNEGO, signature of the list flipped", "gss-spnego", spnego, tamper{response: flip(-5)}, "BH NT_STATUS_ACCESS_DENIED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := w.startHelper(t, c.protocol)
			if got := c.tamper.drive(t, &c.client, h); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestFakeAuthUnderstandsUs: Squid's ntlm_fake_auth verifies nothing, but its challenge is the one
// with a target name outside the message and no target info.
func TestFakeAuthUnderstandsUs(t *testing.T) {
	peers.Need(t, "ntlm_fake_auth")
	h := startHelper(t, exec.Command(peers.Find("ntlm_fake_auth")))
	got := tamper{}.drive(t, &ntlm.Client{User: "alice", Password: "x"}, h)
	if !strings.HasPrefix(got, "AF ") {
		t.Errorf("got %q, want AF", got)
	}
}

// flip returns a change of the lowest bit of the byte at an offset, from the end when negative.
func flip(at int) func([]byte) {
	return func(b []byte) {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
	}
}

// A tamper changes messages on their way.
type tamper struct{ negotiate, challenge, response func([]byte) }

// drive runs a whole handshake against a helper and returns its verdict: the code, and the user or
// the reason, which come last. SPNEGO's own last token stands between.
func (w tamper) drive(t *testing.T, c *ntlm.Client, h *helper) string {
	t.Helper()
	e, err := c.Begin(proxyHost, endPoint)
	must(t, err)
	first, err := e.Next(t.Context(), "")
	must(t, err)
	code, rest := h.ask("YR", apply(t, w.negotiate, first))
	if code != "TT" {
		return code + " " + rest
	}
	challenge, _, _ := strings.Cut(rest, " ") // gss-spnego puts a * behind
	second, err := e.Next(t.Context(), apply(t, w.challenge, challenge))
	must(t, err)
	code, rest = h.ask("KK", apply(t, w.response, second))
	words := strings.Fields(rest)
	if len(words) == 0 {
		return code
	}
	return code + " " + words[len(words)-1]
}

func apply(t *testing.T, change func([]byte), token string) string {
	t.Helper()
	if change == nil {
		return token
	}
	b, err := base64.StdEncoding.DecodeString(token)
	must(t, err)
	change(b)
	return base64.StdEncoding.EncodeToString(b)
}
