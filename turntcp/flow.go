package turntcp

import (
	"net"
	"net/netip"
	"time"
)

// maxPermissions of an allocation; more are refused. pion keeps any number.
const maxPermissions = 256

// A flow is an allocation: what joins a connection to its relay.
type flow struct {
	user  string
	relay *relay
	since time.Time
	peers map[netip.Addr]struct{} // those with a permission
}

// flow is the connection's allocation, or nil.
func (c *conn) flow() *flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flowLocked()
}

func (c *conn) flowLocked() *flow {
	if len(c.flows) == 0 {
		return nil
	}
	return c.flows[len(c.flows)-1]
}

// allocationCreated comes before pion begins to read the relay.
func (c *conn) allocationCreated(_, _ net.Addr, _, user, _ string, _ net.Addr, _ int) {
	f := &flow{user: user, relay: c.generator.last, since: time.Now(), peers: make(map[netip.Addr]struct{})}
	c.srv.running.Add(2)
	f.relay.drained = c.srv.running.Done
	c.srv.countAllocation(1)
	c.mu.Lock()
	c.flows = append(c.flows, f)
	c.setIdleDeadline()
	c.mu.Unlock()
	c.log.Info("allocation created", "user", user, "relay", f.relay.addr())
}

// allocationDeleted is not told which allocation. It is the oldest: pion makes another one only
// after it has taken the last one out of its table.
func (c *conn) allocationDeleted(_, _ net.Addr, _, _, _ string) {
	c.mu.Lock()
	f := c.flows[0]
	c.flows = c.flows[1:]
	c.setIdleDeadline()
	c.mu.Unlock()
	c.log.Info("allocation deleted", "user", f.user, "relay", f.relay.addr(), "lived", time.Since(f.since))
	c.srv.countAllocation(-1)
	c.srv.running.Done()
}

func (c *conn) tooManyPermissions(peer netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flowLocked()
	if f == nil {
		return false
	}
	_, has := f.peers[peer]
	return !has && len(f.peers) >= maxPermissions
}

func (c *conn) permissionCreated(_, _ net.Addr, _, _, _ string, _ net.Addr, ip net.IP) {
	peer, _ := netip.AddrFromSlice(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flowLocked(); f != nil { // its lifetime may have ended meanwhile
		f.peers[plain(peer)] = struct{}{}
	}
}

func (c *conn) permissionDeleted(_, _ net.Addr, _, _, _ string, relayed net.Addr, ip net.IP) {
	peer, _ := netip.AddrFromSlice(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.flows {
		if f.relay.LocalAddr() == relayed {
			delete(f.peers, plain(peer))
		}
	}
}
