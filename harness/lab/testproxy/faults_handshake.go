package testproxy

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// handshakeFaults change what becomes of credentials.
var handshakeFaults = []faultSpec{
	{FaultInfo{"ntlm.close-between-legs", "", 7, "the connection ends after the NTLM challenge was sent, though it says keep-alive"},
		always(on407(func(r *response) { r.hangUp = r.hangUp || r.v.challenge != "" && isNTLM(r.v.scheme) }))},
	{FaultInfo{"ntlm.forget", "", 8, "the last leg of NTLM meets a proxy that knows nothing of the first: a bare 407, as behind a balancer"}, perConn(forget)},
	{FaultInfo{"ntlm.200-after-type1", "", 9, "NTLM's first leg is enough: 2xx without a challenge"}, always(hooks{verdict: acceptFirstLeg})},
	{FaultInfo{"ntlm.spnego", "", 10, "NTLM's challenge is wrapped into a SPNEGO NegTokenResp, though the scheme is NTLM"}, always(hooks{request: unwrapCredentials, verdict: wrapChallenge})},
	{FaultInfo{"407.endless", "", 8, "a handshake of several legs never ends: its challenge comes again for every token"}, perConn(endless)},
	{FaultInfo{"digest.stale", "1", 0, "the first so many right Digest responses of a connection are answered with stale=true"},
		withNumber(1, 1<<30, staleDigest)},
	{FaultInfo{"auth.slow", "2s", 48, "the answer to credentials comes this late, as from a busy domain controller"},
		withDuration(func(d time.Duration) hooks {
			return hooks{verdict: func(x *exchange, v *verdict) {
				if v.judged {
					x.c.p.sleep(d)
				}
			}}
		})},
	{FaultInfo{"403.after-auth", "", 0, "403 to accepted credentials, as from Squid's max_user_ip"}, always(on2xx(func(x *exchange, r *response) {
		*r = *x.c.page(http.StatusForbidden, "ERR_ACCESS_DENIED", "fault: 403 after authentication")
		r.close = true
	}))},
}

func isNTLM(scheme string) bool { return strings.EqualFold(scheme, "NTLM") }

// forget loses the handshake's state once its challenge is sent.
func forget() hooks {
	return hooks{request: func(x *exchange) *response {
		if h := x.c.handshake; h.Handshake == nil || !isNTLM(h.scheme.Name) {
			return nil
		}
		x.c.handshake = handshake{}
		return x.c.challenge(verdict{err: errors.New("fault: the handshake was forgotten")})
	}}
}

func acceptFirstLeg(x *exchange, v *verdict) {
	if v.challenge != "" && isNTLM(v.scheme) {
		v.accepted, v.user, v.challenge = true, "(surrogate)", ""
	}
}

// endless repeats the first challenge of a handshake instead of ever ending it.
func endless() hooks {
	var first string
	return hooks{verdict: func(x *exchange, v *verdict) {
		if !v.judged {
			return
		}
		if first == "" {
			first = v.challenge
		}
		if first != "" {
			v.accepted, v.err, v.challenge = false, nil, first
			x.c.handshake = handshake{} // the real one may have ended
		}
	}}
}

// staleDigest takes back the first n acceptances of Digest on a connection.
func staleDigest(n int) hooks {
	return hooks{verdict: func(x *exchange, v *verdict) {
		if !v.accepted || !strings.EqualFold(v.scheme, "Digest") || n == 0 {
			return
		}
		n--
		challenge := x.c.handshake.scheme.Challenge()
		x.c.handshake = handshake{}
		*v = verdict{scheme: v.scheme, judged: true, challenge: challenge + ", stale=true"}
	}}
}
