package ntlm_test

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/ntlm"
)

// Challenges as they came over the wire.
const (
	// Samba 4.17's ntlm_auth, squid-2.5-ntlmssp.
	sambaChallenge = "TlRMTVNTUAACAAAAEAAQADgAAAAFgoqidlLBs3BsTn0AAAAAAAAAAEQARABIAAAABgEAAAAAAA9QAFIATwBYAFkAUwBSAFYAAgAQAFAAUgBPAFgAWQBTAFIAVgABABAAUABSAE8AWABZAFMAUgBWAAQAAAADAAQAdgBtAAcACAC4Scr40XrdAQAAAAA="
	// The same, gss-spnego.
	sambaSPNEGO = "oYGoMIGloAMKAQGhDAYKKwYBBAGCNwICCqKBjwSBjE5UTE1TU1AAAgAAABAAEAA4AAAABYKKotjUOcw/ndMvAAAAAAAAAABEAEQASAAAAAYBAAAAAAAPUABSAE8AWABZAFMAUgBWAAIAEABQAFIATwBYAFkAUwBSAFYAAQAQAFAAUgBPAFgAWQBTAFIAVgAEAAAAAwAEAHYAbQAHAAgAuIPR+NF63QEAAAAA"
	// Squid 5.7's ntlm_fake_auth: no room for target info, target name outside the message.
	fakeChallenge = "TlRMTVNTUAACAAAACQAJAK6qqqoFgoiil5yke0GKZO4AAAAAAAA6AFdPUktHUk9VUA=="
)

func TestParseChallenge(t *testing.T) {
	samba := ntlm.Challenge{
		Flags: 0xa28a8205, TargetName: "PROXYSRV", NetBIOSComputer: "PROXYSRV", NetBIOSDomain: "PROXYSRV", DNSComputer: "vm",
		ProductMajor: 6, ProductMinor: 1, Timestamp: time.Unix(1795387013, 174316000).UTC(),
	}
	wrapped := samba
	wrapped.SPNEGO, wrapped.Timestamp = true, time.Unix(1795387013, 221676000).UTC()
	for _, c := range []struct {
		name, token string
		want        ntlm.Challenge
	}{
		{"Samba", sambaChallenge, samba},
		{"Samba in SPNEGO", sambaSPNEGO, wrapped},
		{"ntlm_fake_auth", fakeChallenge, ntlm.Challenge{Flags: 0xa2888205, Oddities: []string{
			"target name: field at 12 says bytes 2863311534 to 2863311543 of a message of 49 bytes",
			"target info: field at 40 says bytes 1431261767 to 1431282078 of a message of 49 bytes",
		}}},
	} {
		token, err := base64.StdEncoding.DecodeString(c.token)
		must(t, err)
		got, err := ntlm.ParseChallenge(token)
		must(t, err)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestParseChallengeErrors(t *testing.T) {
	for _, c := range []struct{ name, token, want string }{
		{"empty", "", "too short"},
		{"wrapped garbage", "\xa1\x07\x30\x05\xa2\x03\x04\x01x", "too short"},
		{"SPNEGO too long", "\xa1" + strings.Repeat("x", 1<<14), "limit 16384"},
	} {
		_, err := ntlm.ParseChallenge([]byte(c.token))
		var challengeErr *ntlm.ChallengeError
		if !errors.As(err, &challengeErr) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want a ChallengeError with %q", c.name, err, c.want)
		}
	}
}

func TestFlagsString(t *testing.T) {
	for _, c := range []struct {
		flags ntlm.Flags
		want  string
	}{
		{0, ""},
		{0xa28a8205, "UNICODE REQUEST_TARGET NTLM ALWAYS_SIGN TARGET_TYPE_SERVER EXTENDED_SESSIONSECURITY TARGET_INFO VERSION 128 56"},
		{1 << 3, "bit3"},
	} {
		if got := c.flags.String(); got != c.want {
			t.Errorf("%#x: got %q, want %q", uint32(c.flags), got, c.want)
		}
	}
}
