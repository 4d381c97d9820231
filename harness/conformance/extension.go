package conformance

import (
	"strings"

	"github.com/pion/stun/v4"
)

// Extensions that no server need have. That one has it is a pass; this suite does not speak them any further.
var extensionTests = []Test{
	{"extension.oauth", Should, "RFC 7635 4", "the challenge offers THIRD-PARTY-AUTHORIZATION", false, extensionOAuth},
	{"extension.mobility", Should, "RFC 8016 3.1", "an Allocate with MOBILITY-TICKET gets a ticket", false, extensionMobility},
	{"extension.userhash", Should, "RFC 8489 9.2", "the nonce announces anonymity of user names (USERHASH)", false, extensionUserhash},
	{"extension.alternate-server", Should, "RFC 8656 7.2", "the server sends clients to another one (300)", false, extensionAlternate},
}

func extensionOAuth(t *T) {
	if !t.challenge().Contains(attrThirdPartyAuthorization) {
		t.notOffered("the challenge has no THIRD-PARTY-AUTHORIZATION")
	}
}

func extensionMobility(t *T) {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP), raw(attrMobilityTicket))
	switch {
	case response.Contains(attrMobilityTicket):
	case response.Type.Class == stun.ClassSuccessResponse, errorCode(response) == 405:
		t.notOffered("%s: %s without a ticket", request(m), outcome(response))
	default:
		t.fail("%s: want success or error 405, got %s", request(m), outcome(response))
	}
}

func extensionUserhash(t *T) {
	var nonce stun.Nonce
	_ = nonce.GetFrom(t.challenge())
	rest, ok := strings.CutPrefix(nonce.String(), nonceCookie)
	if !ok || rest == "" || !featureSet(rest[0], 1) {
		t.notOffered("the nonce does not announce it")
	}
}

func extensionAlternate(t *T) {
	m, response := t.client().do(stun.MethodAllocate, transport(protocolUDP))
	switch {
	case errorCode(response) == 300 && response.Contains(stun.AttrAlternateServer):
	case response.Type.Class == stun.ClassSuccessResponse:
		t.notOffered("%s: success", request(m))
	default:
		t.fail("%s: want success or error 300 with ALTERNATE-SERVER, got %s", request(m), outcome(response))
	}
}
