package nlmp

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseChallengeOfTheSpecification(t *testing.T) {
	got, err := ParseChallenge(unhex(t, challengeHex))
	if err != nil {
		t.Fatal(err)
	}
	want := &ChallengeMessage{
		Flags: 0xe28a8233, ServerChallenge: [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		TargetName: "Server", Version: unhex(t, "060070170000000f"),
		Info: []AVPair{{AvNbDomainName, UTF16("Domain")}, {AvNbComputerName, UTF16("Server")}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// patched returns the specification's challenge with bytes changed at an offset.
func patched(t *testing.T, at int, with ...byte) []byte {
	msg := unhex(t, challengeHex)
	copy(msg[at:], with)
	return msg
}

func TestParseChallengeRefuses(t *testing.T) {
	good := unhex(t, challengeHex)
	withStamp := AppendAVPairs(bytes.Clone(good[:68]), []AVPair{{AvTimestamp, []byte{1, 2, 3, 4}}})
	binary.LittleEndian.PutUint16(withStamp[40:], 12)
	for _, c := range []struct {
		name string
		msg  []byte
		want string
	}{
		{"nothing", nil, "too short for a header"},
		{"another protocol", patched(t, 0, 'K'), "does not begin with NTLMSSP"},
		{"type 1", patched(t, 8, 1), "type 1 where the challenge"},
		{"ends before the nonce does", good[:31], "at least 32"},
		{"huge", append(bytes.Clone(good), make([]byte, MaxMessage)...), "limit 16384"},
		{"pair longer than the info", patched(t, 70, 0xff), "where 32 are left"},
		{"half a pair", patched(t, 40, 33), "cut off in its header"},
		{"timestamp of 4 bytes", withStamp, "4 bytes instead of 8"},
	} {
		_, err := ParseChallenge(c.msg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestParseChallengeTolerates(t *testing.T) {
	good := unhex(t, challengeHex)
	for _, c := range []struct {
		name         string
		msg          []byte
		oddities     int
		info, target bool
	}{
		{"target name outside", patched(t, 16, 0xae, 0xaa, 0xaa, 0xaa), 1, true, false},
		{"target info outside", patched(t, 44, 0xff, 0xff, 0xff, 0xff), 1, false, true},
		{"header without target info", good[:32], 1, false, false}, // the name lies behind the end
		{"info without its end", patched(t, 40, 32), 0, true, true},
	} {
		got, err := ParseChallenge(c.msg)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(got.Oddities) != c.oddities || (got.Info != nil) != c.info || (got.TargetName != "") != c.target {
			t.Errorf("%s: got %+v, want %d oddities, info %v, target name %v", c.name, got, c.oddities, c.info, c.target)
		}
	}
}

func TestFieldRefusesOverflow(t *testing.T) {
	msg := []byte{0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}
	if got, err := Field(msg, 0); err == nil {
		t.Errorf("got %x, want an error", got)
	}
	if got, err := Field(msg, 1); err == nil {
		t.Errorf("header cut off: got %x, want an error", got)
	}
}

func TestTextAndTimeComeBack(t *testing.T) {
	for _, s := range []string{"", "alice", "Zoë", "日本", "𝒩ame"} {
		if got := String(UTF16(s)); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	}
	now := time.Date(2026, 11, 22, 12, 30, 15, 123456700, time.UTC)
	if got := Time(Filetime(now)); !got.Equal(now) {
		t.Errorf("got %v, want %v", got, now)
	}
	if got, want := Filetime(time.Unix(0, 0)), unhex(t, "00803ed5deb19d01"); !bytes.Equal(got, want) {
		t.Errorf("1970: got %x, want %x", got, want)
	}
}
