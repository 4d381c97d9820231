package conformance

import "github.com/pion/stun/v4"

var errorTests = []Test{
	{"errors.no-allocation-refresh", Must, "RFC 8656 5", "a Refresh without an allocation gets 437", false, noAllocation(stun.MethodRefresh)},
	{"errors.no-allocation-permission", Must, "RFC 8656 5", "a CreatePermission without an allocation gets 437", false, noAllocation(stun.MethodCreatePermission)},
	{"errors.no-allocation-channel", Must, "RFC 8656 5", "a ChannelBind without an allocation gets 437", false, noAllocation(stun.MethodChannelBind)},
	{"errors.no-allocation-send", Must, "RFC 8656 5", "a Send indication without an allocation is discarded silently", false, noAllocationSend},
	{"errors.no-allocation-channeldata", Must, "RFC 8656 12.6", "ChannelData without an allocation is discarded silently", false, noAllocationChannelData},
	{"errors.unknown-attribute", Must, "RFC 8489 9.2.4", "an unknown attribute of a signed request that must be understood gets 420 with UNKNOWN-ATTRIBUTES", false, unknownSigned},
	{"errors.unknown-attribute-unsigned", Must, "RFC 8489 6.3.1", "credentials are demanded before unknown attributes are looked at", false, unknownUnsigned},
	{"errors.software", Should, "RFC 8489 14.14", "responses name the SOFTWARE", false, software},
	{"errors.fingerprint", Should, "RFC 8489 14.7", "responses to requests with FINGERPRINT have it, too", false, fingerprint},
}

func noAllocation(method stun.Method) func(*T) {
	return func(t *T) {
		other := t.allocated() // for an address that a peer may have
		c := t.client().login()
		c.refused(437, method, t.attributesFor(other, method)...)
	}
}

func noAllocationSend(t *T) {
	other := t.allocated()
	c := t.client()
	c.sendTo(other.relayed, dropped)
	c.onlyAnswersBinding("a Send indication without an allocation")
}

func noAllocationChannelData(t *T) {
	c := t.client()
	c.sendChannel(channel, dropped)
	c.onlyAnswersBinding("ChannelData without an allocation")
}

func unknownSigned(t *T) {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP), raw(attrUnknownRequired, 1, 2, 3, 4))
	t.wantUnknown(m, response, attrUnknownRequired)
}

func unknownUnsigned(t *T) {
	c := t.client()
	m := c.unsigned(stun.MethodAllocate, transport(protocolUDP), raw(attrUnknownRequired, 1, 2, 3, 4))
	c.wantError(m, c.answer(m), 401)
}

func software(t *T) {
	c := t.client()
	response := c.ok(stun.MethodAllocate, transport(protocolUDP))
	if !response.Contains(stun.AttrSoftware) {
		t.notOffered("Allocate success has no SOFTWARE")
	}
}

func fingerprint(t *T) {
	c := t.client()
	response := c.answer(c.unsigned(stun.MethodBinding, stun.Fingerprint))
	if !response.Contains(stun.AttrFingerprint) {
		t.notOffered("Binding with FINGERPRINT: the response has none")
	}
	if stun.Fingerprint.Check(response) != nil {
		t.fail("Binding: FINGERPRINT of the response is wrong")
	}
}
