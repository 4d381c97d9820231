package turntcp

import "net/netip"

// meetAsked meets the peers of a CreatePermission request that has been judged. Permissions are by
// address, so pion tells no ports; the ports that the client gives say between which relays a call is.
func (c *conn) meetAsked() {
	f := c.flow()
	if f == nil || c.verdict != 0 || Frame(c.request).messageType() != typeCreatePermission {
		return
	}
	Frame(c.request).eachAttribute(func(attribute uint16, value []byte) {
		if attribute != attrXORPeerAddress {
			return
		}
		if at, ok := parseXORAddress(value, c.request[8:stunHeader]); ok {
			f.meet(netip.AddrPortFrom(plain(at.Addr()), at.Port()), ByPermission)
		}
	})
}

// meet returns what the peer is counted as, and tells of it if it is new.
func (f *flow) meet(at netip.AddrPort, by string) *peer {
	p, first := f.table.know(at)
	if hook := f.conn.srv.cfg.OnPeer; first && hook != nil {
		hook(PeerPermission{ConnInfo: f.conn.info(), User: f.user, Relay: f.addr(), Peer: at, By: by})
	}
	return p
}
