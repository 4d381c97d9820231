package turntcp

import (
	"errors"

	"github.com/pion/stun/v4"
)

var errRefused = errors.New("the allocation is refused")

// openRelay is the last that pion asks before there is an allocation. Where we refuse, pion answers 508 and
// correct puts in what we mean.
func (c *conn) openRelay(user string) (r *relay, err error) {
	if !c.admit(user) {
		return nil, errRefused
	}
	c.wish.user = user
	if r, c.reserved, err = c.srv.relays.open(c.wish); err != nil {
		c.noRelay(user, err)
		return nil, err
	}
	c.opened = r
	return r, nil
}

// openTCPRelay is openRelay for RFC 6062, which knows no second ports (section 5.1).
func (c *conn) openTCPRelay(user string) (*tcpRelay, error) {
	switch {
	case !c.srv.cfg.TCPRelays:
		c.refusal = stun.CodeUnsupportedTransProto
		c.refuseAllocation(user, int(c.refusal), "no relays for TCP", nil)
		return nil, errRefused
	case c.wish.even || c.wish.token != (token{}):
		c.wish.refused = stun.CodeBadRequest
	}
	if !c.admit(user) {
		return nil, errRefused
	}
	r, err := c.srv.relays.openTCP(c.wish.ipv6)
	if err != nil {
		c.noRelay(user, err)
		return nil, err
	}
	c.openedTCP = r
	return r, nil
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
