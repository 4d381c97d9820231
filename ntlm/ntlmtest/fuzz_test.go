package ntlmtest_test

import (
	"encoding/base64"
	"testing"

	"github.com/turngate/turngate/ntlm/ntlmtest"
)

// Messages as they came over the wire.
var captured = []string{
	// curl 7.88: type 1, and type 3 without Unicode.
	curlNegotiate,
	"TlRMTVNTUAADAAAAGAAYAEAAAAB6AHoAWAAAAAAAAADSAAAABQAFANIAAAALAAsA1wAAAAAAAAAAAAAABoKJAFof4M42nvnWcrWZ4+rlcD57khcU5WvR1BeMUq9tBwvWfbBtMJE90HsBAQAAAAAAAACLLifUet0Be5IXFOVr0dQAAAAAAgAIAEMATwBSAFAAAQAGADEAMgA3AAQACgAwAC4AMAAuADEAAwASADEAMgA3AC4AMAAuADAALgAxAAcACADo/IYn1HrdAQAAAAAAAAAAYWxpY2VXT1JLU1RBVElPTg==",
	// cntlm 0.92: type 1 with names, type 3 of NTLMv2 and of NTLMv1.
	"TlRMTVNTUAABAAAABbIIogQABAAlAAAABQAFACAAAABERVNLMUNPUlA=",
	"TlRMTVNTUAADAAAAGAAYAFwAAAB6AHoAdAAAAAgACABAAAAACgAKAEgAAAAKAAoAUgAAAAAAAADuAAAABYKJokMATwBSAFAAYQBsAGkAYwBlAEQARQBTAEsAMQDBQU5kOaWvrC1LX4dkrE7H7FnSUU8YgxIDvvmNo3HfjU8AL3PYPsIjAQEAAAAAAAAAiy4n1HrdAexZ0lFPGIMSAAAAAAIACABDAE8AUgBQAAEABgAxADIANwAEAAoAMAAuADAALgAxAAMAEgAxADIANwAuADAALgAwAC4AMQAHAAgASDJ6J9R63QEAAAAAAAAAAA==",
	"TlRMTVNTUAADAAAAGAAYAFwAAAAYABgAdAAAAAgACABAAAAACgAKAEgAAAAKAAoAUgAAAAAAAACMAAAABYKBAEMATwBSAFAAYQBsAGkAYwBlAEQARQBTAEsAMQBp4wNxXMCygHeO3FU/HEQihln9ufBYxwdoPPzP1xRuUIgUUyxs0Ew0UeyKSRqdSmI=",
	// MIT's SPNEGO over gss-ntlmssp 1.2: NegTokenInit, and NegTokenResp with an exchanged key.
	"YEgGBisGAQUFAqA+MDygDjAMBgorBgEEAYI3AgIKoioEKE5UTE1TU1AAAQAAABeCCOIAAAAAAAAAAAAAAAAAAAAABgIAAAAAAA8=",
	"oYIBRTCCAUGgAwoBAaKCASQEggEgTlRMTVNTUAADAAAAAAAAAFgAAACiAKIAWAAAAAgACAD6AAAACgAKAAIBAAAEAAQADAEAABAAEAAQAQAAFYKJ4gYCAAAAAAAPIxSFqqF3aGoWvnADAqrGe5VxO22emNclQVLm+m4RkkgBAQAAAAAAAM+GkifUet0B1eRKCdsUuXIAAAAAAQAGADEAMgA3AAIACABDAE8AUgBQAAMAEgAxADIANwAuADAALgAwAC4AMQAEAAoAMAAuADAALgAxAAYABAACAAAABwAIAM+GkifUet0BCQAcAEgAVABUAFAALwAxADIANwAuADAALgAwAC4AMQAAAAAAAAAAAEMATwBSAFAAYQBsAGkAYwBlAFYATQAuQ44YgvMASfR6FbCbGCa4oxIEEAEAAAC1R0Lh64zQlAAAAAA=",
	// Our own: type 1 raw and in SPNEGO, type 3.
	"TlRMTVNTUAABAAAABYKIogAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==",
	"YEYGBisGAQUFAqA8MDqgDjAMBgorBgEEAYI3AgIKoigEJk5UTE1TU1AAAQAAABWCiKIAAAAAAAAAAAAAAAAAAAAABgGxHQAAAA8=",
	"TlRMTVNTUAADAAAAAAAAAFgAAADCAMIAWAAAAAAAAAAaAQAACgAKABoBAAAAAAAAJAEAAAAAAAAkAQAABYKIogYBsR0AAAAPBL2/rrGdtNnHxTiMTDHx8xaWuBTYgWUcBQ7hWVTr6q8BAQAAAAAAALhJyvjRet0BMU9Izj3XeNgAAAAAAgAQAFAAUgBPAFgAWQBTAFIAVgABABAAUABSAE8AWABZAFMAUgBWAAQAAAADAAQAdgBtAAcACAC4Scr40XrdAQYABAACAAAACgAQACaUJKuylOe19dDxMymNhoQJAC4ASABUAFQAUAAvAHAAcgBvAHgAeQAuAGUAeABhAG0AcABsAGUALgB0AGUAcwB0AAAAAAAAAAAAYQBsAGkAYwBlAA==",
}

// FuzzAccept gives the acceptor two tokens of a client, and none may be accepted: the challenge
// between them is fresh.
func FuzzAccept(f *testing.F) {
	for _, first := range captured {
		for _, second := range captured {
			a, errA := base64.StdEncoding.DecodeString(first)
			b, errB := base64.StdEncoding.DecodeString(second)
			if errA != nil || errB != nil {
				f.Fatal(errA, errB)
			}
			f.Add(a, b, len(first)%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte, odd bool) {
		a := corp()
		a.KeyExchange, a.OmitTargetInfo, a.WrapChallenge = odd, odd, odd
		h := a.New([]byte("tls-server-end-point:x"))
		for _, token := range [][]byte{first, second} {
			accept(t, h, token)
		}
		if got := a.Accepted("alice"); got != 0 {
			t.Errorf("%d accepted", got)
		}
	})
}

func accept(t *testing.T, h *ntlmtest.Handshake, token []byte) {
	t.Helper()
	challenge, user, err := h.Accept(base64.StdEncoding.EncodeToString(token))
	if user != "" || (err == nil) == (challenge == "") {
		t.Errorf("got challenge %q, user %q, error %v for %x", challenge, user, err, token)
	}
}
