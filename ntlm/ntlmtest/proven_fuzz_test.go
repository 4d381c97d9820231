package ntlmtest

import (
	"encoding/asn1"
	"testing"
	"time"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
	"github.com/turngate/turngate/ntlm/internal/spnego"
)

// FuzzProven lets somebody who knows the password say anything else: what is read only under the
// proof of the password cannot be reached without it.
func FuzzProven(f *testing.F) {
	mic := nlmp.AppendAVPairs(nil, []nlmp.AVPair{
		{ID: nlmp.AvFlags, Value: []byte{nlmp.AvFlagMIC, 0, 0, 0}},
		{ID: nlmp.AvChannelBindings, Value: make([]byte, 16)},
		{ID: nlmp.AvTargetName, Value: nlmp.UTF16("HTTP/proxy:1")},
	})
	f.Add(uint32(nlmp.Unicode), mic, []byte(nil), []byte(nil), true)
	f.Add(uint32(nlmp.Unicode|nlmp.KeyExchange|nlmp.Key56), mic, make([]byte, 16), make([]byte, 16), false)
	f.Add(uint32(nlmp.Unicode|nlmp.Sign|nlmp.KeyExchange), []byte{6, 0, 1, 0, 2}, []byte{1}, []byte{1}, false)
	f.Fuzz(func(t *testing.T, flags uint32, pairs, key, listMIC []byte, short bool) {
		if len(pairs)+len(key) > nlmp.MaxMessage {
			return
		}
		a := &Acceptor{Host: "proxy", SPNEGO: true, Password: func(string, string) (string, bool) { return "x", true }}
		h := a.New([]byte("channel"))
		h.mechs = []asn1.ObjectIdentifier{spnego.NTLMSSP}
		h.negotiate, h.challenge = make([]byte, 32), make([]byte, 56)
		user, err := h.verify(provenResponse(flags, pairs, key, h.nonce, short), listMIC)
		if (err == nil) != (user != "") {
			t.Errorf("got %q, %v", user, err)
		}
		if got := a.Accepted("alice") + a.Failures("alice"); flags&uint32(nlmp.Unicode) != 0 && got != 1 {
			t.Errorf("%d verifications counted, want 1", got)
		}
	})
}

// provenResponse is a type 3 of alice with a right proof over these pairs, and with no room for a MIC
// when short.
func provenResponse(flags uint32, pairs, key []byte, nonce [8]byte, short bool) []byte {
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, nlmp.Filetime(time.Now())...)
	blob = append(append(blob, make([]byte, 12)...), pairs...)
	nt := append(nlmp.NTProofStr(nlmp.NTOWFv2(nlmp.NTHash("x"), "alice", ""), nonce[:], blob), blob...)
	header := nlmp.AuthenticateLen
	if short {
		header = nlmp.OffsetVersion
	}
	user := nlmp.UTF16("alice")
	b := append([]byte(nlmp.Signature), nlmp.Authenticate, 0, 0, 0)
	at := header
	for _, n := range []int{0, len(nt), 0, len(user), 0, len(key)} {
		b = nlmp.AppendFieldHeader(b, n, at)
		at += n
	}
	b = append(b, byte(flags), byte(flags>>8), byte(flags>>16), byte(flags>>24))
	b = append(b, make([]byte, header-len(b))...)
	return append(append(append(b, nt...), user...), key...)
}
