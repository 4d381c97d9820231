package ntlmtest

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestResponseOfTheSpecification verifies the message of MS-NLMP 4.2.4.3, which exchanges a key, as if
// it answered our challenge. Its time is the beginning of 1601.
func TestResponseOfTheSpecification(t *testing.T) {
	const authenticate = `4e544c4d53535000 03000000 18001800 6c000000 54005400 84000000 0c000c00 48000000
		08000800 54000000 10001000 5c000000 10001000 d8000000 358288e2 0501280a0000000f
		44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200
		86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa
		68cd0ab851e51c96aabc927bebef6a1c
		0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000
		02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000
		c5dad2544fc9799094ce1ce90bc9d03e`
	msg, err := hex.DecodeString(strings.Join(strings.Fields(authenticate), ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		year           int
		want           error
	}{
		{"right", "Password", 1601, nil},
		{"wrong password", "password", 1601, ErrWrongPassword},
		{"replayed later", "Password", 1602, ErrTime},
	} {
		a := &Acceptor{
			Password: func(user, domain string) (string, bool) { return c.password, user == "User" && domain == "Domain" },
			Now:      func() time.Time { return time.Date(c.year, 1, 1, 0, 0, 0, 0, time.UTC) },
		}
		h := a.New(nil)
		h.nonce = [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
		h.negotiate, h.challenge = []byte("unused without a MIC"), []byte("unused without a MIC")
		user, err := h.verify(msg, nil)
		if !errors.Is(err, c.want) || (c.want == nil) != (user == "User") {
			t.Errorf("%s: got %q, %v, want %v", c.name, user, err, c.want)
		}
	}
}
