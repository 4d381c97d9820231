package turntcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v4"
)

// judge looks at a request, just authenticated, as a whole. It returns what to refuse it with, 0 for
// nothing. pion takes CreatePermission one peer at a time and has installed those before the one that
// it refuses, where RFC 8656 section 10.2 wants all or nothing.
func (c *conn) judge(request Frame) stun.ErrorCode {
	var code stun.ErrorCode
	asked := make(map[netip.Addr]struct{})
	request.eachAttribute(func(attribute uint16, value []byte) {
		switch {
		case code != 0:
		case request.messageType() == typeChannelBind && attribute == uint16(stun.AttrChannelNumber):
			code = judgeChannel(value)
		case request.messageType() == typeCreatePermission && attribute == attrXORPeerAddress:
			var peer netip.Addr
			if peer, code = c.judgePeer(value, request[8:stunHeader]); code == 0 {
				asked[peer] = struct{}{}
			}
		}
	})
	if f := c.flow(); code == 0 && f != nil && !f.table.hasRoomFor(asked) {
		c.log.Info("peers refused", "user", c.account, "peers", len(asked), "reason", "too many permissions")
		code = stun.CodeForbidden
	}
	return code
}

// lastOldChannel is that of RFC 5766. RFC 8656 section 12 ends at 0x4FFF, for the sake of what shares a
// UDP port with TURN; coturn's clients use all of the old range, and over a stream it harms nobody.
const lastOldChannel = 0x7FFF

func judgeChannel(value []byte) stun.ErrorCode {
	if len(value) != 4 {
		return stun.CodeBadRequest
	}
	if n := binary.BigEndian.Uint16(value); n < firstChannel || n > lastOldChannel {
		return stun.CodeBadRequest
	}
	return 0
}

func (c *conn) judgePeer(value, id []byte) (netip.Addr, stun.ErrorCode) {
	at, ok := parseXORAddress(value, id)
	peer := plain(at.Addr())
	switch {
	case !ok:
		return peer, stun.CodeBadRequest
	case c.flow() != nil && peer.Is4() != c.flow().relay.isIPv4():
		return peer, stun.CodePeerAddrFamilyMismatch
	}
	if reason := c.srv.peerRefusal(peer); reason != "" {
		c.log.Info("peer refused", "user", c.account, "peer", peer, "reason", reason)
		return peer, stun.CodeForbidden
	}
	return peer, 0
}

// peerRefusal says why the address is no peer, or "". Our own is permitted for relay to relay; the
// relay then looks at the port of each datagram.
func (s *Server) peerRefusal(peer netip.Addr) string {
	if s.relays.host(peer) != nil {
		return ""
	}
	return s.policy.refusal(peer)
}
