package conformance

import (
	"net"
	"net/netip"

	"github.com/pion/stun/v4"
)

var bindingTests = []Test{
	{"binding.xor-mapped-address", Must, "RFC 8489 6.3.1.1", "a Binding success response holds the client's address as XOR-MAPPED-ADDRESS", false, bindingMapped},
	{"binding.unknown-attribute", Must, "RFC 8489 6.3.1", "an unknown attribute that must be understood gets 420 with UNKNOWN-ATTRIBUTES", false, bindingUnknown},
	{"binding.unknown-optional-attribute", Must, "RFC 8489 6.3", "an unknown attribute that need not be understood is ignored", false, bindingOptional},
	{"binding.fingerprint", Must, "RFC 8489 7", "a request with FINGERPRINT is answered", false, bindingFingerprint},
	{"binding.indication", Must, "RFC 8489 6.3.2", "a Binding indication is not answered", false, bindingIndication},
	{"binding.response-ignored", Must, "RFC 8489 6.3.3", "a response that nobody asked for is discarded", false, bindingResponse},
}

func bindingMapped(t *T) {
	c := t.client()
	m := c.answer(c.unsigned(stun.MethodBinding))
	mapped, ok := address(m, stun.AttrXORMappedAddress)
	if m.Type.Class != stun.ClassSuccessResponse || !ok {
		t.fail("Binding: want success with XOR-MAPPED-ADDRESS, got %s", describe(m))
	}
	local, ok := c.nc.LocalAddr().(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() { // else a NAT or proxy may lie between
		return
	}
	at := local.AddrPort()
	if want := netip.AddrPortFrom(at.Addr().Unmap(), at.Port()); mapped != want {
		t.log("want %v, got %v", want, mapped)
		t.fail("Binding: XOR-MAPPED-ADDRESS is not the client's address")
	}
}

func bindingUnknown(t *T) {
	c := t.client()
	m := c.unsigned(stun.MethodBinding, raw(attrUnknownRequired, 1, 2, 3, 4))
	t.wantUnknown(m, c.answer(m), attrUnknownRequired)
}

// wantUnknown fails unless the response is 420 and names the attribute.
func (t *T) wantUnknown(m, response *stun.Message, attribute stun.AttrType) {
	var unknown stun.UnknownAttributes
	if errorCode(response) != 420 {
		t.fail("%s: want error 420, got %s", request(m), outcome(response))
	}
	if unknown.GetFrom(response) != nil || len(unknown) != 1 || unknown[0] != attribute {
		t.fail("%s: error 420 does not name the attribute in UNKNOWN-ATTRIBUTES", request(m))
	}
}

func bindingOptional(t *T) {
	c := t.client()
	m := c.unsigned(stun.MethodBinding, raw(attrUnknownOptional, 1, 2, 3, 4))
	if response := c.answer(m); response.Type.Class != stun.ClassSuccessResponse {
		t.fail("%s: want success, got %s", request(m), outcome(response))
	}
}

func bindingFingerprint(t *T) {
	c := t.client()
	m := c.unsigned(stun.MethodBinding, stun.Fingerprint)
	if response := c.answer(m); response.Type.Class != stun.ClassSuccessResponse {
		t.fail("%s: want success, got %s", request(m), outcome(response))
	}
}

func bindingIndication(t *T) {
	c := t.client()
	c.send(c.build(stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication)))
	c.onlyAnswersBinding("a Binding indication")
}

func bindingResponse(t *T) {
	c := t.client()
	c.send(c.build(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse)))
	c.onlyAnswersBinding("an Allocate success response")
}

// onlyAnswersBinding fails unless the answer to a Binding request is the first thing to come.
func (c *client) onlyAnswersBinding(before string) {
	m := c.unsigned(stun.MethodBinding)
	c.send(m)
	f, err := c.next(c.t.options.Timeout)
	if err != nil {
		c.t.fail("Binding after %s: %v", before, err)
	}
	var response stun.Message
	if f.isChannelData() || stun.Decode(f, &response) != nil || response.TransactionID != m.TransactionID {
		c.t.fail("%s was answered with %s", before, describeFrame(f))
	}
}
