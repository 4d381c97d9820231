package conformance

import (
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

var permissionTests = []Test{
	{"permission.no-peer", Must, "RFC 8656 10.2", "a CreatePermission without XOR-PEER-ADDRESS gets 400", false, permissionRefused(400)},
	{"permission.malformed-peer", Must, "RFC 8656 10.2", "a CreatePermission with a malformed XOR-PEER-ADDRESS gets 400", false, permissionMalformed},
	{"permission.family", Must, "RFC 8656 10.2", "a CreatePermission for a peer of another family than the allocation's gets 443", false, permissionRefused(443, permissionFor(someIPv6))},
	{"permission.forbidden", Must, "RFC 8656 10.2", "a CreatePermission for a forbidden peer gets 403", false, permissionForbidden},
	{"permission.all-or-nothing", Must, "RFC 8656 10.2", "a CreatePermission with one forbidden peer installs none", false, permissionAllOrNothing},
	{"permission.again", Must, "RFC 8656 9", "a permission may be refreshed", false, permissionAgain},
	{"permission.several", Must, "RFC 8656 10.2", "one CreatePermission may name several peers", false, permissionSeveral},
	{"permission.port-ignored", Must, "RFC 8656 9", "a permission is for an address; the port is not looked at", false, permissionPort},
	{"permission.without-up", Must, "RFC 8656 11.2", "a Send indication to a peer without a permission is discarded silently", false, permissionWithoutUp},
	{"permission.without-down", Must, "RFC 8656 11.3", "a datagram of a peer without a permission is discarded silently", false, permissionWithoutDown},
}

// someIPv6 is for documentation (RFC 3849).
var someIPv6 = netip.MustParseAddr("2001:db8::1")

func permissionRefused(code int, attributes ...stun.Setter) func(*T) {
	return func(t *T) { t.allocated().refused(code, stun.MethodCreatePermission, attributes...) }
}

// malformedPeers are values that no XOR-PEER-ADDRESS may have. An empty one ended pion/stun before v4.0.1.
var malformedPeers = [][]byte{{}, {0, familyIPv4, 1, 2}, {0, familyIPv4, 1, 2, 3, 4, 5}}

func permissionMalformed(t *T) {
	c := t.allocated()
	for _, value := range malformedPeers {
		c.refused(400, stun.MethodCreatePermission, raw(stun.AttrXORPeerAddress, value...))
	}
}

// forbidden is a peer that the server refuses, or skips the test if it does not.
func (t *T) forbidden(c *client) netip.Addr {
	peer := t.target.ForbiddenPeer
	_, response := c.do(stun.MethodCreatePermission, permissionFor(peer))
	if response.Type.Class == stun.ClassSuccessResponse {
		t.skip("the server permits %v, which was taken for a forbidden peer", peer)
	}
	return peer
}

func permissionForbidden(t *T) {
	c := t.allocated()
	c.refused(403, stun.MethodCreatePermission, permissionFor(t.forbidden(c)))
}

func permissionAllOrNothing(t *T) {
	c := t.allocated()
	p := t.peer(c)
	forbidden := t.forbidden(c)
	_, response := c.do(stun.MethodCreatePermission, permissionFor(p.addr().Addr()), permissionFor(forbidden))
	if response.Type.Class == stun.ClassSuccessResponse {
		t.fail("CreatePermission for a good and a forbidden peer: want an error, got success")
	}
	c.sendTo(p.addr(), dropped)
	c.permit(p)
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

func permissionAgain(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.permit(p)
	c.permit(p)
}

func permissionSeveral(t *T) {
	c := t.allocated()
	p := t.peer(c)
	at := p.addr()
	c.ok(stun.MethodCreatePermission, permissionFor(at.Addr()), peerAddress(at), peerAddress(netip.AddrPortFrom(at.Addr(), at.Port()^1)))
	p.send(c.relayed, marker)
	c.gets(marker)
}

func permissionPort(t *T) {
	c := t.allocated()
	p := t.peer(c)
	at := p.addr()
	c.ok(stun.MethodCreatePermission, peerAddress(netip.AddrPortFrom(at.Addr(), at.Port()^1)))
	c.sendTo(at, marker)
	t.peerGets(p, marker)
	p.send(c.relayed, marker)
	c.gets(marker)
}

func permissionWithoutUp(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.sendTo(p.addr(), dropped)
	c.permit(p)
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
}

// settling is how long a datagram may take to reach the server on another way than the request after it.
const settling = 250 * time.Millisecond

func permissionWithoutDown(t *T) {
	c := t.allocated()
	p := t.peer(c)
	p.send(c.relayed, dropped)
	t.pause(settling)
	c.permit(p)
	p.send(c.relayed, marker)
	c.gets(marker)
}
