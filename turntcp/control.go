package turntcp

import (
	"context"
	"errors"
	"net"
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
		AllocationLifetime:  maxLifetime, // pion grants it where that, or more, is asked for
		StrictAddressFamily: true,        // no family asked for is IPv4 (RFC 8656 section 7.2), also for clients that come by IPv6
		InboundMTU:          maxServerFrame + maxShown,
	}
}

// maxShown in bytes is what a request may grow by when it is shown to pion, and one more: pion drops a
// frame that fills its buffer.
const maxShown = 64

// authenticate returns the key that the request should be signed with; pion checks it.
func (c *conn) authenticate(ra *turn.RequestAttributes) (string, []byte, bool) {
	switch {
	case !c.lookUp(ra.Username):
		return "", nil, false
	case ra.Realm != c.srv.cfg.Realm:
		c.reject(ra.Username, "another realm")
		return "", nil, false
	}
	return c.account, c.key, true
}

// A signer is the user that a request says it is from.
type signer struct {
	name  string
	asked bool
	known bool
}

// lookUp finds the account of a user and the key of the request, once for each request.
func (c *conn) lookUp(username string) bool {
	if !c.signer.asked || c.signer.name != username {
		c.signer = signer{name: username, asked: true, known: c.find(username)}
	}
	return c.signer.known
}

func (c *conn) find(username string) bool {
	account, ok := c.srv.cfg.Credentials.Lookup(username)
	expired := !account.Expires.IsZero() && time.Now().After(account.Expires)
	switch {
	case !ok || len(account.Passwords)+len(account.Keys) == 0:
		c.reject(username, "unknown user")
		return false
	case expired && c.flow() == nil && Frame(c.request).messageType() != typeConnectionBind:
		c.reject(username, "expired")
		return false
	case c.srv.cfg.MaxCredentialTTL > 0 && account.Expires.After(time.Now().Add(c.srv.cfg.MaxCredentialTTL)):
		c.reject(username, "expires too late")
		return false
	}
	c.account = account.Name
	c.key = c.matchingKey(username, account)
	return true
}

// matchingKey returns the key of the password that the request was signed with, or that of the first.
func (c *conn) matchingKey(username string, account Account) stun.MessageIntegrity {
	var keys []stun.MessageIntegrity
	for _, k := range account.Keys {
		keys = append(keys, k)
	}
	for _, p := range account.Passwords {
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

// authenticated is told pion's verdict on the key.
func (c *conn) authenticated(_, _ net.Addr, _, user, _, _ string, ok bool) {
	if !ok {
		c.reject(user, "wrong password")
		return
	}
	c.rejected = 0
	c.keepNonce()
	c.mu.Lock()
	c.setIdleDeadline()
	c.mu.Unlock()
	if Frame(c.request).hasUnknown() {
		return
	}
	c.verdict = c.judge(c.request)
	if !c.replyMismatch() {
		c.meetAsked()
		c.takeOver()
	}
}

// permit is where pion asks about a peer of CreatePermission or ChannelBind. They have been judged.
func (c *conn) permit(net.Addr, net.IP) bool {
	c.refusal = c.verdict
	return c.verdict == 0
}

// A relayGenerator opens the relays of one connection, for pion.
type relayGenerator struct {
	conn     *conn
	last     *relay    // or
	lastTCP  *tcpRelay // that was opened last
	reserved token
}

// give makes the relay that was opened last that of an allocation. pion reads it after that.
func (g *relayGenerator) give(f *flow) {
	if g.lastTCP != nil {
		f.tcp, g.lastTCP = g.lastTCP, nil
		f.lives, f.dies = context.WithCancel(g.conn.srv.stop)
		f.tcp.deliver, f.tcp.drained, f.tcp.conn = f.accepted, f.end, f.conn
		return
	}
	f.relay, f.reserved, g.last = g.last, g.reserved, nil
	f.relay.deliver, f.relay.deliverAlone, f.relay.drained, f.relay.conn = f.down, f.downAlone, f.end, f.conn
}

func (g *relayGenerator) Validate() error { return nil }

var errRefused = errors.New("the allocation is refused")

// AllocatePacketConn is the last that pion asks before there is an allocation. Where we refuse, pion
// answers 508 and correct puts in what we mean.
func (g *relayGenerator) AllocatePacketConn(a turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	c := g.conn
	if !c.admit(a.UserID) {
		return nil, nil, errRefused
	}
	c.wish.user = a.UserID
	r, reserved, err := c.srv.relays.open(c.wish)
	if err != nil {
		c.noRelay(a.UserID, err)
		return nil, nil, err
	}
	g.last, g.reserved = r, reserved
	return r, r.told, nil
}

// admit tells whether the user may have an allocation, or refuses it.
func (c *conn) admit(user string) bool {
	code, reason, err := c.admission(user)
	if c.refusal = code; code != 0 {
		c.refuseAllocation(user, int(code), reason, err)
	}
	return code == 0
}

// admission says what to refuse an allocation with, 0 for nothing.
func (c *conn) admission(user string) (code stun.ErrorCode, reason string, err error) {
	if c.wish.refused != 0 {
		return c.wish.refused, "bad request", nil
	}
	if c.srv.draining.Load() {
		return stun.CodeInsufficientCapacity, "draining", nil
	}
	if admit := c.srv.cfg.Admit; admit != nil {
		if err := admit(user); err != nil {
			return stun.CodeInsufficientCapacity, "not admitted", err
		}
	}
	if !c.srv.users.enter(c.account, c.wish.ports()) {
		return stun.CodeAllocQuotaReached, "quota", nil
	}
	return 0, "", nil
}

// noRelay takes back what admit has counted.
func (c *conn) noRelay(user string, err error) {
	c.srv.users.leave(user, c.wish.ports())
	code, reason := stun.CodeInsufficientCapacity, "no relay port"
	if errors.Is(err, errFamily) {
		c.refusal = stun.CodeAddrFamilyNotSupported
		code, reason = c.refusal, "address family"
	}
	c.refuseAllocation(user, int(code), reason, err)
}

// AllocateListener is AllocatePacketConn for RFC 6062, which knows no second ports (section 5.1).
func (g *relayGenerator) AllocateListener(a turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	c := g.conn
	switch {
	case !c.srv.cfg.TCPRelays:
		c.refusal = stun.CodeUnsupportedTransProto
		c.refuseAllocation(a.UserID, int(c.refusal), "no relays for TCP", nil)
		return nil, nil, errRefused
	case c.wish.even || c.wish.token != (token{}):
		c.wish.refused = stun.CodeBadRequest
	}
	if !c.admit(a.UserID) {
		return nil, nil, errRefused
	}
	r, err := c.srv.relays.openTCP(c.wish.ipv6)
	if err != nil {
		c.noRelay(a.UserID, err)
		return nil, nil, err
	}
	g.lastTCP = r
	return r, r.told, nil
}

// AllocateConn is never asked for: Connect is ours.
func (g *relayGenerator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	return nil, errRefused
}
