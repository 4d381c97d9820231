package conformance

import (
	"net/netip"

	"github.com/pion/stun/v4"
)

var reservationTests = []Test{
	{"allocate.even-port", Must, "RFC 8656 7.2", "EVEN-PORT gets an even port, or 508", false, evenPortGranted},
	{"allocate.even-port-no-token", Must, "RFC 8656 7.2", "EVEN-PORT without the R bit reserves nothing: there is no RESERVATION-TOKEN", false, evenPortNoToken},
	{"allocate.reservation", Must, "RFC 8656 7.2", "EVEN-PORT with the R bit gets a token, which another connection redeems for the next port", false, reservationRedeemed},
	{"allocate.reservation-held", Must, "RFC 8656 7.2", "the reserved port is held, so that nobody else gets it", false, reservationHeld},
	{"allocate.reservation-once", Must, "RFC 8656 7.2", "a token that was redeemed gets 508", false, reservationOnce},
	{"allocate.token-unknown", Must, "RFC 8656 7.2", "a RESERVATION-TOKEN that the server did not give gets 508", false, allocateRefused(508, transport(protocolUDP), noToken)},
	{"allocate.token-and-even-port", Must, "RFC 8656 7.2", "RESERVATION-TOKEN together with EVEN-PORT gets 400", false, allocateRefused(400, transport(protocolUDP), noToken, evenPort(false))},
	{"allocate.token-and-family", Must, "RFC 8656 7.2", "RESERVATION-TOKEN together with REQUESTED-ADDRESS-FAMILY gets 400", false, tokenWith(family(familyIPv4))},
	{"allocate.token-and-additional", Must, "RFC 8656 7.2", "RESERVATION-TOKEN together with ADDITIONAL-ADDRESS-FAMILY gets 400", false, tokenWith(additional(familyIPv6))},
	{"allocate.even-port-and-additional", Must, "RFC 8656 7.2", "EVEN-PORT with the R bit together with ADDITIONAL-ADDRESS-FAMILY gets 400", false, allocateRefused(400, transport(protocolUDP), evenPort(true), additional(familyIPv6))},
}

// noToken is a token that no server gave.
var noToken = raw(stun.AttrReservationToken, 'n', 'o', ' ', 't', 'o', 'k', 'e', 'n')

// evenAllocated is a client with an even port.
func (t *T) evenAllocated(reserve bool) *client {
	c := t.client()
	m, response := c.do(stun.MethodAllocate, transport(protocolUDP), evenPort(reserve))
	if errorCode(response) == 508 {
		t.notOffered("%s, R bit %v: error 508", request(m), reserve)
	}
	c.granted(response)
	if c.relayed.Port()%2 != 0 {
		t.fail("%s: the port is odd", request(m))
	}
	return c
}

// reserved is evenAllocated with a token.
func (t *T) reserved() *client {
	c := t.evenAllocated(true)
	if len(c.token) != 8 {
		t.fail("Allocate with EVEN-PORT, R bit set: want RESERVATION-TOKEN of 8 bytes, got %d", len(c.token))
	}
	return c
}

func evenPortGranted(t *T) {
	for range 3 { // one might be even by chance
		t.evenAllocated(false)
	}
}

func evenPortNoToken(t *T) {
	if c := t.evenAllocated(false); c.token != nil {
		t.fail("Allocate with EVEN-PORT, R bit not set: the response has RESERVATION-TOKEN")
	}
}

func reservationRedeemed(t *T) {
	c := t.reserved()
	other := t.allocated(raw(stun.AttrReservationToken, c.token...))
	if want := netip.AddrPortFrom(c.relayed.Addr(), c.relayed.Port()+1); other.relayed != want {
		t.log("want %v, got %v", want, other.relayed)
		t.fail("Allocate with RESERVATION-TOKEN: the relayed address is not the reserved one")
	}
}

func reservationHeld(t *T) {
	for range 4 { // somebody else might listen at one by chance
		c := t.reserved()
		if !t.portsTell(c.relayed.Addr()) {
			t.skip("from here nothing tells whether a UDP port of the relay is open")
		}
		if !t.isOpen(netip.AddrPortFrom(c.relayed.Addr(), c.relayed.Port()+1)) {
			t.fail("the reserved port is not held: nobody listens there")
		}
	}
}

func reservationOnce(t *T) {
	c := t.reserved()
	token := raw(stun.AttrReservationToken, c.token...)
	t.allocated(token)
	t.client().refused(508, stun.MethodAllocate, transport(protocolUDP), token)
}

// tokenWith is a test of a token that would be good but for the attribute beside it.
func tokenWith(attribute stun.Setter) func(*T) {
	return func(t *T) {
		t.client().refused(400, stun.MethodAllocate, transport(protocolUDP), t.someToken(), attribute)
	}
}

// someToken is of a reservation, or made up where the server reserves nothing.
func (t *T) someToken() stun.Setter {
	_, response := t.client().do(stun.MethodAllocate, transport(protocolUDP), evenPort(true))
	value, err := response.Get(stun.AttrReservationToken)
	if err != nil || response.Type.Class != stun.ClassSuccessResponse {
		return noToken
	}
	return raw(stun.AttrReservationToken, value...)
}
