package conformance

import "github.com/pion/stun/v4"

var refreshTests = []Test{
	{"refresh.success", Must, "RFC 8656 8.2", "a Refresh success response holds LIFETIME", false, func(t *T) { t.allocated().refreshed() }},
	{"refresh.zero", Must, "RFC 8656 8.2", "a Refresh with lifetime 0 succeeds and deletes the allocation, so that the connection may have another", false, refreshZero},
	{"refresh.zero-closes", Must, "RFC 8656 8.2", "after a Refresh with lifetime 0 the relayed port is closed", false, refreshZeroCloses},
	{"refresh.family", Must, "RFC 8656 8.2", "a Refresh with the REQUESTED-ADDRESS-FAMILY of the allocation succeeds", false, refreshFamily},
	{"refresh.other-family", Must, "RFC 8656 8.2", "a Refresh with another REQUESTED-ADDRESS-FAMILY than the allocation's gets 443", false, refreshOtherFamily},
}

func refreshZero(t *T) {
	c := t.allocated()
	c.ok(stun.MethodRefresh, lifetime(0))
	c.ok(stun.MethodAllocate, transport(protocolUDP))
}

func refreshZeroCloses(t *T) {
	c := t.allocated()
	if !t.portsTell(c.relayed.Addr()) {
		t.skip("from here nothing tells whether a UDP port of the relay is open")
	}
	c.ok(stun.MethodRefresh, lifetime(0))
	t.closes(c.relayed)
}

func refreshFamily(t *T) { t.allocated().ok(stun.MethodRefresh, family(familyIPv4)) }

func refreshOtherFamily(t *T) { t.allocated().refused(443, stun.MethodRefresh, family(familyIPv6)) }
