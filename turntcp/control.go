package turntcp

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// control is pion's configuration for one connection. Its callbacks run under pion's locks: they
// must not block and not call pion.
func (c *conn) control() turn.ServerConfig {
	return turn.ServerConfig{
		Realm:         c.srv.cfg.Realm,
		AuthHandler:   c.authenticate,
		LoggerFactory: pionLog{c.log},
		EventHandler: turn.EventHandler{
			OnAuth:              c.authenticated,
			OnAllocationCreated: c.allocationCreated,
			OnAllocationDeleted: c.allocationDeleted,
			OnPermissionCreated: c.permissionCreated,
			OnPermissionDeleted: c.permissionDeleted,
			OnChannelCreated:    c.channelCreated,
			OnChannelDeleted:    c.channelDeleted,
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            c,
			RelayAddressGenerator: &c.generator,
			PermissionHandler:     c.permit,
		}},
		PermissionTimeout:   c.srv.cfg.permissionTimeout,
		StrictAddressFamily: true,               // no family asked for is IPv4 (RFC 8656 section 7.2), also for clients that come by IPv6
		InboundMTU:          maxServerFrame + 1, // pion drops a frame that fills its buffer
	}
}

// authenticate returns the key that the request should be signed with; pion checks it.
func (c *conn) authenticate(ra *turn.RequestAttributes) (string, []byte, bool) {
	account, ok := c.srv.cfg.Credentials.Lookup(ra.Username)
	expired := !account.Expires.IsZero() && time.Now().After(account.Expires)
	switch {
	case !ok || len(account.Passwords) == 0:
		c.reject(ra.Username, "unknown user")
		return "", nil, false
	case expired && c.flow() == nil:
		c.reject(ra.Username, "expired")
		return "", nil, false
	}
	c.account = account.Name
	c.key = c.matchingKey(ra.Username, account.Passwords)
	return account.Name, c.key, true
}

// matchingKey returns the key of the password that the request was signed with, or that of the first.
func (c *conn) matchingKey(username string, passwords []string) []byte {
	var keys []stun.MessageIntegrity
	for _, p := range passwords {
		keys = append(keys, stun.NewLongTermIntegrity(username, c.srv.cfg.Realm, p))
	}
	if len(keys) == 1 {
		return keys[0]
	}
	m := &stun.Message{Raw: append([]byte(nil), c.request...)}
	if m.Decode() == nil {
		for _, key := range keys {
			if key.Check(m) == nil {
				return key
			}
		}
	}
	return keys[0]
}

func (c *conn) reject(user, why string) {
	c.rejected++
	c.log.Info("authentication rejected", "user", user, "reason", why)
}

// authenticated is told pion's verdict on the key.
func (c *conn) authenticated(_, _ net.Addr, _, user, _, _ string, ok bool) {
	if !ok {
		c.reject(user, "wrong password")
		return
	}
	c.rejected = 0
	c.verdict = c.judge(c.request)
	c.replyMismatch()
}

// permit judges a peer of CreatePermission or ChannelBind by its address, if the request as a whole
// is acceptable.
func (c *conn) permit(_ net.Addr, ip net.IP) bool {
	if c.verdict != 0 {
		c.refusal = c.verdict
		return false
	}
	reason := "not an address"
	if peer, ok := netip.AddrFromSlice(ip); ok {
		peer = plain(peer)
		reason = c.srv.peerRefusal(peer)
		if f := c.flow(); reason == "" && f != nil && !f.table.hasRoomFor(map[netip.Addr]struct{}{peer: {}}) {
			reason = "too many permissions"
		}
	}
	if reason != "" {
		c.refusal = stun.CodeForbidden
		c.log.Info("peer refused", "user", c.account, "peer", ip, "reason", reason)
	}
	return reason == ""
}

// A relayGenerator opens the relays of one connection, for pion.
type relayGenerator struct {
	conn *conn
	last *relay
}

func (g *relayGenerator) Validate() error { return nil }

var (
	errOnlyIPv4 = errors.New("relays are IPv4 only")
	errOnlyUDP  = errors.New("relays are UDP only")

	// pion answers 508, as RFC 8656 section 7.2 says where EVEN-PORT cannot be satisfied. A token
	// would be worth nothing: it is for another connection, which has another pion server.
	errNoReservations = errors.New("the next port is not reserved")
)

func (g *relayGenerator) AllocatePacketConn(a turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	if a.Network != "udp4" {
		g.conn.refusal = stun.CodeAddrFamilyNotSupported
		return nil, nil, errOnlyIPv4
	}
	if g.conn.wantsReservation() {
		return nil, nil, errNoReservations
	}
	r, err := g.conn.srv.relays.open(a.RequestedPort)
	if err != nil {
		g.conn.log.Warn("no relay", "user", a.UserID, "error", err)
		return nil, nil, err
	}
	g.last = r
	return r, r.LocalAddr(), nil
}

func (g *relayGenerator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	g.conn.refusal = stun.CodeUnsupportedTransProto
	return nil, nil, errOnlyUDP
}

func (g *relayGenerator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	return nil, errOnlyUDP
}
