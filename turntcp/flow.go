package turntcp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A flow is an allocation: what joins a connection to its relay.
type flow struct {
	conn     *conn
	user     string
	relay    *relay    // or
	tcp      *tcpRelay // RFC 6062
	reserved token     // of the next port; zero for none

	upRate, downRate meters

	since  time.Time
	table  table
	counts counters
	lives  context.Context // of a TCP relay: until it is deleted
	dies   context.CancelFunc
	nonce  atomic.Pointer[string] // of the last request, where it relays TCP
	ended  bool                   // the streams' lock guards it
	ends   atomic.Int32           // deleted, and its relay closed
	reason CloseReason            // why it was deleted
	err    error
}

// flow is the connection's allocation, or nil.
func (c *conn) flow() *flow { return c.current.Load() }

// allocationCreated comes before pion begins to read the relay, while the connection waits.
func (c *conn) allocationCreated(user string) {
	f := &flow{conn: c, user: user, since: time.Now(), table: newTable()}
	f.upRate, f.downRate = c.srv.users.meters(user)
	c.srv.running.Add(2)
	c.give(f)
	c.srv.countAllocation(1)
	c.in.size, c.in.limit = streamBuffer, MaxFrame
	c.mu.Lock()
	c.flows = append(c.flows, f)
	c.current.Store(f)
	c.setIdleDeadline()
	c.mu.Unlock()
	c.log.Info("allocation created", "user", user, "relay", f.addr())
	if hook := c.srv.cfg.OnAllocationStart; hook != nil {
		hook(f.stats())
	}
}

// allocationDeleted is not told which allocation. It is the oldest: pion makes another one only
// after it has taken the last one out of its table.
func (c *conn) allocationDeleted() {
	c.mu.Lock()
	f := c.flows[0]
	c.flows = c.flows[1:]
	last := c.ended && len(c.flows) == 0
	c.current.CompareAndSwap(f, nil)
	c.setIdleDeadline()
	f.reason, f.err = f.whyDeleted(c.reason)
	c.mu.Unlock()
	if last {
		c.control.leave(c)
	}
	c.srv.users.leave(f.user, 1)
	if f.tcp != nil {
		f.dies()
		c.srv.streams.end(f)
	}
	f.end()
}

// whyDeleted tells it from the end of the connection, if that was first.
func (f *flow) whyDeleted(connection error) (CloseReason, error) {
	switch {
	case connection != nil:
		return reasonOf(connection), connection
	case f.conn.deletes.Load():
		return ClosedDeleted, nil
	}
	return ClosedExpired, nil
}

// end is called when the allocation is deleted and when its relay has been closed, in whatever order. After
// both its port is free, and its counters stand still.
func (f *flow) end() {
	if f.ends.Add(1) == 2 {
		s := f.stats()
		s.Reason, s.Err = f.reason, f.err
		f.conn.log.Info("allocation deleted", "user", f.user, "relay", s.Relay, "lived", time.Since(f.since),
			"reason", s.Reason, "packets up", s.Up.Packets, "packets down", s.Down.Packets)
		if hook := f.conn.srv.cfg.OnAllocationEnd; hook != nil {
			hook(s)
		}
		f.conn.srv.countAllocation(-1)
	}
	f.conn.srv.running.Done()
}

// give makes the relay that was just opened that of an allocation. pion reads it after that.
func (c *conn) give(f *flow) {
	if c.openedTCP != nil {
		f.tcp = c.openedTCP
		f.lives, f.dies = context.WithCancel(c.srv.stop)
		f.tcp.deliver, f.tcp.broke, f.tcp.drained = f.accepted, f.relayBroke, f.end
		return
	}
	f.relay, f.reserved = c.opened, c.reserved
	f.relay.deliver, f.relay.deliverAlone = f.down, f.downAlone
	f.relay.broke, f.relay.drained = f.relayBroke, f.end
}

// relayBroke ends the connection: its client then knows at once that it needs another allocation.
func (f *flow) relayBroke(err error) {
	f.conn.hangUp(because(ClosedRelayFailed, fmt.Errorf("relay %v: %w", f.addr(), err)))
}

// flowOf is the flow with the relayed address, which may have ended meanwhile.
func (c *conn) flowOf(relayed net.Addr) *flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.flows {
		if f.told() == relayed {
			return f
		}
	}
	return nil
}

// addr is the relayed address.
func (f *flow) addr() netip.AddrPort {
	if f.tcp != nil {
		return f.tcp.addr()
	}
	return f.relay.addr()
}

func (f *flow) told() net.Addr {
	if f.tcp != nil {
		return f.tcp.told
	}
	return f.relay.told
}
