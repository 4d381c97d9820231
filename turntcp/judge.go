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
	var channel uint16
	asked := make(map[netip.Addr]struct{})
	isBind := request.messageType() == typeChannelBind
	request.eachAttribute(func(attribute uint16, value []byte) {
		switch {
		case code != 0:
		case isBind && c.flow() != nil && c.flow().tcp != nil:
			code = stun.CodeBadRequest // streams have no channels
		case isBind && attribute == uint16(stun.AttrChannelNumber) && channel == 0:
			channel, code = c.judgeChannel(value)
		case request.messageType() == typeCreatePermission && attribute == attrXORPeerAddress,
			isBind && attribute == attrXORPeerAddress && len(asked) == 0:
			var peer netip.AddrPort
			if peer, code = c.judgePeer(value, request[8:stunHeader]); code == 0 {
				asked[peer.Addr()] = struct{}{}
			}
		}
	})
	if f := c.flow(); code == 0 && f != nil && !f.table.hasRoomFor(asked, channel, c.srv.cfg.MaxPermissions, c.srv.cfg.MaxChannels) {
		c.log.Info("too many permissions or channels", "user", c.account, "peers", len(asked))
		code = stun.CodeInsufficientCapacity
	}
	return code
}

// lastOldChannel is that of RFC 5766. RFC 8656 section 12 ends at 0x4FFF, for the sake of what shares a
// UDP port with TURN; over a stream the rest harms nobody.
const lastOldChannel = 0x7FFF

func (c *conn) judgeChannel(value []byte) (number uint16, code stun.ErrorCode) {
	last := uint16(lastChannel)
	if c.srv.cfg.OldChannels {
		last = lastOldChannel
	}
	if len(value) != 4 {
		return 0, stun.CodeBadRequest
	}
	if number = binary.BigEndian.Uint16(value); number < firstChannel || number > last {
		return 0, stun.CodeBadRequest
	}
	return number, 0
}

func (c *conn) judgePeer(value, id []byte) (netip.AddrPort, stun.ErrorCode) {
	at, ok := parseXORAddress(value, id)
	peer := netip.AddrPortFrom(plain(at.Addr()), at.Port())
	switch {
	case !ok:
		return peer, stun.CodeBadRequest
	case c.flow() != nil && peer.Addr().Is4() != c.flow().addr().Addr().Is4():
		return peer, stun.CodePeerAddrFamilyMismatch
	}
	reason := c.srv.peerRefusal(peer.Addr())
	if reason == "" && Frame(c.request).messageType() == typeChannelBind && c.srv.relays.isListening(peer) {
		reason = "a port of this server"
	}
	if reason != "" {
		c.refusePeer(peer, reason)
		return peer, stun.CodeForbidden
	}
	return peer, 0
}

func (c *conn) refusePeer(peer netip.AddrPort, reason string) {
	c.log.Info("peer refused", "user", c.account, "peer", peer.Addr(), "reason", reason)
	if hook := c.srv.cfg.OnPeerRefused; hook != nil {
		hook(PeerRefusal{ConnInfo: c.info(), User: c.account, Peer: peer, Reason: reason})
	}
}

// peerRefusal says why the address is no peer, or "". Our own is permitted for relay to relay; the
// relay then looks at the port of each datagram.
func (s *Server) peerRefusal(peer netip.Addr) string {
	if s.relays.host(peer) != nil && !s.policy.denied(peer) {
		return ""
	}
	return s.policy.refusal(peer)
}
