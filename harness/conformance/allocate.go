package conformance

import (
	"slices"

	"github.com/pion/stun/v4"
)

var allocateTests = []Test{
	{"allocate.success", Must, "RFC 8656 7.2", "an Allocate success response holds XOR-RELAYED-ADDRESS, XOR-MAPPED-ADDRESS and LIFETIME", false, func(t *T) { t.allocated() }},
	{"allocate.no-transport", Must, "RFC 8656 7.2", "an Allocate without REQUESTED-TRANSPORT gets 400", false, allocateRefused(400)},
	{"allocate.malformed-transport", Must, "RFC 8656 7.2", "an Allocate with a malformed REQUESTED-TRANSPORT gets 400", false, allocateRefused(400, raw(stun.AttrRequestedTransport, protocolUDP))},
	{"allocate.unsupported-transport", Must, "RFC 8656 7.2", "a REQUESTED-TRANSPORT that the server does not support gets 442", false, allocateRefused(442, transport(132))},
	{"allocate.twice", Must, "RFC 8656 7.2", "a second Allocate on the connection gets 437", false, allocateTwice},
	{"allocate.same-transaction", Must, "RFC 8656 7.2", "an Allocate that is sent again makes no second allocation", false, allocateAgain},
	{"allocate.dont-fragment", Must, "RFC 8656 7.2", "DONT-FRAGMENT is supported, or gets 420 with UNKNOWN-ATTRIBUTES", false, allocateDontFragment},
	{"allocate.family-default", Must, "RFC 8656 7.2", "without REQUESTED-ADDRESS-FAMILY the relayed address is IPv4, or 440", false, allocateFamilyDefault},
	{"allocate.family-ipv4", Must, "RFC 8656 7.2", "REQUESTED-ADDRESS-FAMILY IPv4 gets an IPv4 address, or 440", false, allocateFamily(familyIPv4)},
	{"allocate.family-unknown", Must, "RFC 8656 7.2", "a REQUESTED-ADDRESS-FAMILY that does not exist gets 440", false, allocateRefused(440, transport(protocolUDP), family(3))},
	{"allocate.both-families", Must, "RFC 8656 7.2", "REQUESTED-ADDRESS-FAMILY together with ADDITIONAL-ADDRESS-FAMILY gets 400", false, allocateRefused(400, transport(protocolUDP), family(familyIPv4), additional(familyIPv6))},
	{"allocate.additional-ipv4", Must, "RFC 8656 7.2", "ADDITIONAL-ADDRESS-FAMILY IPv4 gets 400", false, allocateRefused(400, transport(protocolUDP), additional(familyIPv4))},
	{"allocate.dual", Should, "RFC 8656 7.2", "ADDITIONAL-ADDRESS-FAMILY IPv6 gets an address of each family, or ADDRESS-ERROR-CODE", false, allocateDual},
	{"allocate.quota", Should, "RFC 8656 7.2", "a user with too many allocations gets 486", false, allocateQuota},
	{"allocate.port-range", Should, "RFC 8656 7.2", "relayed ports are from 49152 to 65535", false, allocatePortRange},
	{"allocate.port-random", Should, "RFC 8656 21.1.1", "relayed ports cannot be foretold", false, allocatePortRandom},
}

func additional(f byte) stun.Setter { return raw(attrAdditionalAddressFamily, f, 0, 0, 0) }

// allocateRefused is a test of an Allocate that must be refused.
func allocateRefused(code int, attributes ...stun.Setter) func(*T) {
	return func(t *T) { t.client().refused(code, stun.MethodAllocate, attributes...) }
}

func allocateTwice(t *T) { t.allocated().refused(437, stun.MethodAllocate, transport(protocolUDP)) }

// allocateAgain accepts the same answer again, as RFC 5766 has it, and 437, as RFC 8656 does.
func allocateAgain(t *T) {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP))
	c.granted(response)
	again := c.answer(m)
	if errorCode(again) == 437 {
		return
	}
	if at, ok := address(again, stun.AttrXORRelayedAddress); !ok || at != c.relayed {
		t.fail("the same Allocate again: want the same relayed address or error 437, got %s", outcome(again))
	}
}

func allocateDontFragment(t *T) {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP), raw(stun.AttrDontFragment))
	if response.Type.Class != stun.ClassSuccessResponse {
		t.wantUnknown(m, response, stun.AttrDontFragment)
	}
}

func allocateFamilyDefault(t *T) { t.allocateFamilyWith(familyIPv4) }

func allocateFamily(f byte) func(*T) {
	return func(t *T) { t.allocateFamilyWith(f, family(f)) }
}

func (t *T) allocateFamilyWith(f byte, attributes ...stun.Setter) *client {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, append([]stun.Setter{transport(protocolUDP)}, attributes...)...)
	if errorCode(response) == 440 {
		t.notOffered("%s: error 440", request(m))
	}
	c.granted(response)
	if c.relayed.Addr().Is4() != (f == familyIPv4) {
		t.fail("%s: the relayed address is of the other family", request(m))
	}
	return c
}

func allocateDual(t *T) {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP), additional(familyIPv6))
	if code := errorCode(response); code == 508 || code == 440 {
		t.notOffered("%s: error %d", request(m), code)
	}
	c.granted(response)
	relayed := 0
	for _, a := range response.Attributes {
		if a.Type == stun.AttrXORRelayedAddress {
			relayed++
		}
	}
	switch {
	case relayed == 2:
	case response.Contains(attrAddressErrorCode):
		t.notOffered("%s: success with ADDRESS-ERROR-CODE", request(m))
	default:
		t.notOffered("%s: one relayed address, the attribute is ignored", request(m))
	}
}

// quotaTried is how many allocations of one user are more than anybody's share.
const quotaTried = 24

func allocateQuota(t *T) {
	for n := range quotaTried {
		m, response := t.client().do(stun.MethodAllocate, transport(protocolUDP))
		switch {
		case errorCode(response) == 486:
			return
		case response.Type.Class != stun.ClassSuccessResponse:
			t.fail("%s number %d of one user: want success or error 486, got %s", request(m), n+1, outcome(response))
		}
	}
	t.notOffered("%d allocations of one user at a time were granted", quotaTried)
}

func allocatePortRange(t *T) {
	for range 4 {
		if c := t.allocated(); c.relayed.Port() < 49152 {
			t.log("relayed address %v", c.relayed)
			t.fail("a relayed port is below 49152")
		}
	}
}

func allocatePortRandom(t *T) {
	var ports []int
	for range 5 {
		ports = append(ports, int(t.allocated().relayed.Port()))
	}
	t.log("relayed ports %v", ports)
	steps := make(map[int]bool)
	for i := range len(ports) - 1 {
		steps[ports[i+1]-ports[i]] = true
	}
	if len(steps) == 1 || slices.IsSorted(ports) && ports[len(ports)-1]-ports[0] < 50 {
		t.fail("the ports of 5 allocations in turn can be foretold")
	}
}
