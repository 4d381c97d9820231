package ntlm_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/ntlm/internal/nlmp"
	"github.com/turngate/turngate/ntlm/internal/spnego"
)

// specChallenge is the message of MS-NLMP 4.2.4.3, with KEY_EXCH and without a timestamp.
const specChallenge = "TlRMTVNTUAACAAAADAAMADgAAAAzgoriASNFZ4mrze8AAAAAAAAAACQAJABEAAAABgBwFwAAAA9TAGUAcgB2AGUAcgACAAwARABvAG0AYQBpAG4AAQAMAFMAZQByAHYAZQByAAAAAAA="

// Challenges of gss-ntlmssp 1.2, raw and under MIT's SPNEGO. They have AV flags of their own.
const (
	gssChallenge = "TlRMTVNTUAACAAAAEgASADgAAAAFgomi0pHb05U+ZvwAAAAAAAAAAEQARABKAAAABgIAAAAAAA9SAEUAQQBMAFMAVABBAEMASwABAAoAUABSAE8AWABZAAIAEgBSAEUAQQBMAFMAVABBAEMASwADAAQAdgBtAAYABAAAAAAABwAIAJ5VGZzUet0BAAAAAA=="
	gssSPNEGO    = "oYGqMIGnoAMKAQGhDAYKKwYBBAGCNwICCqKBkQSBjk5UTE1TU1AAAgAAABIAEgA4AAAAFYKJov7CieKGMSRTAAAAAAAAAABEAEQASgAAAAYCAAAAAAAPUgBFAEEATABTAFQAQQBDAEsAAQAKAFAAUgBPAFgAWQACABIAUgBFAEEATABTAFQAQQBDAEsAAwAEAHYAbQAGAAQAAAAAAAcACABA8CKc1HrdAQAAAAA="
)

func addChallenges(f *testing.F) {
	for _, seed := range []string{sambaChallenge, sambaSPNEGO, gssChallenge, gssSPNEGO, fakeChallenge, specChallenge, "oQcwBaADCgEC", ""} {
		b, err := base64.StdEncoding.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzExchange gives the client any challenge. What it answers must be a well-formed response in the
// challenge's form; what it refuses must be no rejection of the credential.
func FuzzExchange(f *testing.F) {
	addChallenges(f)
	f.Fuzz(func(t *testing.T, challenge []byte) {
		for _, wrap := range []bool{false, true} {
			c := ntlm.Client{User: `CORP\alice`, Password: "pw-Alice1", SPNEGO: wrap}
			e, err := c.Begin(proxyHost, endPoint)
			must(t, err)
			_, err = e.Next(t.Context(), "")
			must(t, err)
			credentials, err := e.Next(t.Context(), base64.StdEncoding.EncodeToString(challenge))
			if err != nil {
				checkRefusal(t, err)
				continue
			}
			checkResponse(t, credentials, spnego.IsResp(challenge))
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var challengeErr *ntlm.ChallengeError
	if rejected(err) || !errors.As(err, &challengeErr) && !errors.Is(err, ntlm.ErrNoChallenge) {
		t.Errorf("got %v, want a ChallengeError or ErrNoChallenge", err)
	}
}

func checkResponse(t *testing.T, credentials string, wrapped bool) {
	t.Helper()
	msg, err := base64.StdEncoding.DecodeString(credentials)
	must(t, err)
	if wrapped {
		resp, err := spnego.ParseResp(msg)
		must(t, err)
		msg = resp.ResponseToken
	}
	typ, err := nlmp.Type(msg)
	must(t, err)
	user, err := nlmp.Field(msg, nlmp.OffsetUser)
	must(t, err)
	response, err := nlmp.Field(msg, nlmp.OffsetNT)
	must(t, err)
	if typ != nlmp.Authenticate || nlmp.String(user) != "alice" || len(response) < 44 {
		t.Fatalf("got type %d, user %q and a response of %d bytes", typ, nlmp.String(user), len(response))
	}
	pairs, err := nlmp.ParseAVPairs(response[44:])
	must(t, err)
	if got, want := string(nlmp.Lookup(pairs, nlmp.AvChannelBindings)), string(nlmp.BindingHash(endPoint)); got != want {
		t.Errorf("got channel binding %x, want %x", got, want)
	}
}

// FuzzParseChallenge decodes anything and must agree with Exchange on what a challenge is.
func FuzzParseChallenge(f *testing.F) {
	addChallenges(f)
	f.Fuzz(func(t *testing.T, token []byte) {
		c, err := ntlm.ParseChallenge(token)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		e, err := (&ntlm.Client{User: "alice", Password: "pw-Alice1"}).Begin("", nil)
		must(t, err)
		_, err = e.Next(t.Context(), "")
		must(t, err)
		_, err = e.Next(t.Context(), base64.StdEncoding.EncodeToString(token))
		if unicode := c.Flags&1 != 0; (err == nil) != unicode {
			t.Errorf("parsed %+v, but the exchange says %v", c, err)
		}
		_ = c.Flags.String()
	})
}
