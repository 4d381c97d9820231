package conformance

import (
	"strings"

	"github.com/pion/stun/v4"
)

var authTests = []Test{
	{"auth.challenge", Must, "RFC 8489 9.2.4", "a request without MESSAGE-INTEGRITY gets 401 with REALM and NONCE, itself without MESSAGE-INTEGRITY", false, authChallenge},
	{"auth.wrong-password", Must, "RFC 8489 9.2.4", "a wrong password gets 401 with REALM and NONCE", false, authWrongPassword},
	{"auth.unknown-user", Must, "RFC 8489 9.2.4", "an unknown user gets 401 with REALM and NONCE", false, authUnknownUser},
	{"auth.stale-nonce", Must, "RFC 8489 9.2.4", "a NONCE that the server did not give gets 438 with a NONCE that works", false, authStaleNonce},
	{"auth.missing-username", Must, "RFC 8489 9.2.4", "MESSAGE-INTEGRITY without USERNAME gets 400", false, authMissing(stun.AttrUsername)},
	{"auth.missing-realm", Must, "RFC 8489 9.2.4", "MESSAGE-INTEGRITY without REALM gets 400", false, authMissing(stun.AttrRealm)},
	{"auth.missing-nonce", Must, "RFC 8489 9.2.4", "MESSAGE-INTEGRITY without NONCE gets 400", false, authMissing(stun.AttrNonce)},
	{"auth.realm", Must, "RFC 8489 9.2.2", "the REALM of a request is compared with the server's", false, authRealm},
	{"auth.fresh-nonce", Should, "RFC 8656 5", "each Allocate request is challenged with a new random NONCE", false, authFreshNonce},
	{"auth.features-consistent", Must, "RFC 8489 9.2.1", "what the nonce cookie announces is what the challenge offers", false, authFeatures},
	{"auth.sha256", Should, "RFC 8489 9.2", "MESSAGE-INTEGRITY-SHA256 and password algorithms", false, authSHA256},
	{"auth.refresh-unsigned", Must, "RFC 8656 5", "a Refresh without MESSAGE-INTEGRITY gets 401", false, authUnsigned(stun.MethodRefresh)},
	{"auth.permission-unsigned", Must, "RFC 8656 5", "a CreatePermission without MESSAGE-INTEGRITY gets 401", false, authUnsigned(stun.MethodCreatePermission)},
	{"auth.channel-unsigned", Must, "RFC 8656 5", "a ChannelBind without MESSAGE-INTEGRITY gets 401", false, authUnsigned(stun.MethodChannelBind)},
	{"auth.other-user-refresh", Must, "RFC 8656 5", "a Refresh by another user than the allocation's gets 441", false, authOtherUser(stun.MethodRefresh)},
	{"auth.other-user-permission", Must, "RFC 8656 5", "a CreatePermission by another user than the allocation's gets 441", false, authOtherUser(stun.MethodCreatePermission)},
	{"auth.other-user-channel", Must, "RFC 8656 5", "a ChannelBind by another user than the allocation's gets 441", false, authOtherUser(stun.MethodChannelBind)},
	{"auth.behind-signature", Must, "RFC 8489 14.5", "attributes behind MESSAGE-INTEGRITY, which nobody has signed, are ignored", false, authBehindSignature},
	{"auth.success-signed", Must, "RFC 8489 9.2.4", "a success response to a signed request has MESSAGE-INTEGRITY", false, authSuccessSigned},
	{"auth.error-signed", Must, "RFC 8489 9.2.4", "an error response to a signed request has MESSAGE-INTEGRITY", false, authErrorSigned},
}

func authChallenge(t *T) {
	c := t.client()
	m := c.unsigned(stun.MethodAllocate, transport(protocolUDP))
	response := c.answer(m)
	t.wantChallenge(m, response, 401)
	if response.Contains(stun.AttrMessageIntegrity) {
		t.fail("error 401 has MESSAGE-INTEGRITY")
	}
}

// wantChallenge fails unless the response has the code, a realm and a nonce.
func (t *T) wantChallenge(m, response *stun.Message, code int) {
	if errorCode(response) != code || !response.Contains(stun.AttrRealm) || !response.Contains(stun.AttrNonce) {
		t.fail("%s: want error %d with REALM and NONCE, got %s", request(m), code, describe(response))
	}
}

func authWrongPassword(t *T) {
	c := t.client().login()
	c.as(c.user, "not "+c.password)
	m := c.signed(stun.MethodAllocate, transport(protocolUDP))
	t.wantChallenge(m, c.answer(m), 401)
}

func authUnknownUser(t *T) {
	c := t.client().login()
	c.as("nobody-of-this-name", c.password)
	m := c.signed(stun.MethodAllocate, transport(protocolUDP))
	t.wantChallenge(m, c.answer(m), 401)
}

func authStaleNonce(t *T) {
	c := t.client().login()
	c.nonce = stun.NewNonce("not a nonce of this server")
	m := c.signed(stun.MethodAllocate, transport(protocolUDP))
	response := c.answer(m)
	t.wantChallenge(m, response, 438)
	c.take(response)
	m = c.signed(stun.MethodAllocate, transport(protocolUDP))
	if response = c.answer(m); response.Type.Class != stun.ClassSuccessResponse {
		t.fail("Allocate with the NONCE of error 438: want success, got %s", outcome(response))
	}
}

func authMissing(attribute stun.AttrType) func(*T) {
	return func(t *T) {
		c := t.client().login()
		setters := []stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transport(protocolUDP)}
		for a, s := range map[stun.AttrType]stun.Setter{
			stun.AttrUsername: stun.NewUsername(c.user), stun.AttrRealm: c.realm, stun.AttrNonce: c.nonce,
		} {
			if a != attribute {
				setters = append(setters, s)
			}
		}
		m := c.build(append(setters, c.key)...)
		if response := c.answer(m); errorCode(response) != 400 {
			t.fail("Allocate without %s: want error 400, got %s", attribute, outcome(response))
		}
	}
}

// authRealm signs rightly for the server's realm and names another one.
func authRealm(t *T) {
	c := t.client().login()
	c.realm = stun.NewRealm("not-this.example")
	m := c.signed(stun.MethodAllocate, transport(protocolUDP))
	if response := c.answer(m); response.Type.Class != stun.ClassErrorResponse {
		t.fail("Allocate with another REALM than the server's: want an error, got %s", outcome(response))
	}
}

func authFreshNonce(t *T) {
	seen := make(map[string]bool)
	const connections = 3
	for range connections {
		c := t.client().login()
		seen[c.nonce.String()] = true
	}
	if len(seen) < connections {
		t.fail("%d connections were challenged with %d different nonces", connections, len(seen))
	}
}

// nonceCookie begins the nonces of servers with RFC 8489's features (section 9.2).
const nonceCookie = "obMatJos2"

// challenge returns the 401 to an Allocate without credentials.
func (t *T) challenge() *stun.Message {
	c := t.client()
	m := c.unsigned(stun.MethodAllocate, transport(protocolUDP))
	response := c.answer(m)
	t.wantChallenge(m, response, 401)
	return response
}

func authFeatures(t *T) {
	response := t.challenge()
	var nonce stun.Nonce
	_ = nonce.GetFrom(response)
	algorithms := response.Contains(stun.AttrPasswordAlgorithms)
	announced := false
	if rest, ok := strings.CutPrefix(nonce.String(), nonceCookie); ok && rest != "" {
		announced = featureSet(rest[0], 0)
	}
	if announced != algorithms {
		t.fail("password algorithms: announced by the nonce %v, offered by PASSWORD-ALGORITHMS %v", announced, algorithms)
	}
}

// featureSet tells whether a feature's bit is set (RFC 8489 section 18.1). The cookie is followed by 24 bits in
// base64, the first 6 of them in one letter.
func featureSet(letter byte, bit int) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	value := strings.IndexByte(alphabet, letter)
	return value >= 0 && value>>(5-bit)&1 == 1
}

func authSHA256(t *T) {
	if t.challenge().Contains(stun.AttrPasswordAlgorithms) {
		t.skip("the server offers PASSWORD-ALGORITHMS, which this suite does not speak")
	}
	t.notOffered("the challenge has no PASSWORD-ALGORITHMS")
}

// attributesFor make a request of the method whole. The peer is one that nothing is sent to.
func (t *T) attributesFor(c *client, method stun.Method) []stun.Setter {
	switch method {
	case stun.MethodCreatePermission:
		return []stun.Setter{permissionFor(c.relayed.Addr())}
	case stun.MethodChannelBind:
		return []stun.Setter{channelNumber(channel), peerAddress(c.relayed)}
	}
	return nil
}

func authUnsigned(method stun.Method) func(*T) {
	return func(t *T) {
		c := t.allocated()
		m := c.unsigned(method, t.attributesFor(c, method)...)
		c.wantError(m, c.answer(m), 401)
	}
}

func (t *T) needsSecondUser() {
	if t.target.SecondUser == "" {
		t.skip("needs a second user")
	}
}

func authOtherUser(method stun.Method) func(*T) {
	return func(t *T) {
		t.needsSecondUser()
		c := t.allocated()
		c.as(t.target.SecondUser, string(t.target.SecondPassword))
		m := c.signed(method, t.attributesFor(c, method)...)
		c.wantError(m, c.answer(m), 441)
	}
}

func authBehindSignature(t *T) {
	c := t.allocated()
	m := c.signed(stun.MethodRefresh)
	m.Add(stun.AttrLifetime, []byte{0, 0, 0, 0})
	m.WriteHeader()
	response := c.answer(m)
	if errorCode(response) != 0 {
		return // a server may also distrust the message
	}
	if got, _ := seconds(response); got == 0 {
		t.fail("Refresh with LIFETIME 0 behind MESSAGE-INTEGRITY: the allocation is deleted")
	}
}

func authSuccessSigned(t *T) {
	c := t.client()
	for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind} {
		attributes := []stun.Setter{transport(protocolUDP)}
		if method != stun.MethodAllocate {
			attributes = t.attributesFor(c, method)
		}
		response := c.ok(method, attributes...)
		if c.key.Check(response) != nil {
			t.fail("%s success: want MESSAGE-INTEGRITY with the user's key, got none that is valid", method)
		}
		if method == stun.MethodAllocate {
			c.granted(response)
		}
	}
}

func authErrorSigned(t *T) {
	c := t.client()
	_, response := c.do(stun.MethodAllocate)
	if errorCode(response) == 0 {
		t.skip("the server accepts an Allocate without REQUESTED-TRANSPORT")
	}
	if c.key.Check(response) != nil {
		t.fail("Allocate %s: want MESSAGE-INTEGRITY with the user's key, got none that is valid", outcome(response))
	}
}
