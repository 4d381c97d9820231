package turntcp

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Traffic is what was relayed one way. Bytes are those of the payloads, without headers and padding.
type Traffic struct{ Packets, Bytes uint64 }

// Drops counts packets that were not relayed, by reason.
type Drops struct {
	NoPermission uint64 // the peer has none, or no longer; a channel may still be bound to it
	NoChannel    uint64 // ChannelData with a number that is not bound
	Forbidden    uint64 // a port that is no peer: 0, one that we listen on, or no live relay of ours
	Malformed    uint64 // an indication without a peer or data, or with an attribute that we do not support
	Unsent       uint64 // the kernel refused to send it to the peer
	TooOld       uint64 // towards a slow client: waited longer than Config.MaxQueueDelay
	QueueFull    uint64 // towards a slow client: more came within that time than is kept
	TooFast      uint64 // beyond Config.UserRate or TotalRate
}

// AllocationStats says who used an allocation and for what. Up is from the client to its peers, Down
// is what was given to the client's connection.
type AllocationStats struct {
	ConnInfo
	User    string
	Relay   netip.AddrPort
	TCP     bool // it relays TCP (RFC 6062); its packets are what was read at once
	Created time.Time

	Up, Down Traffic
	Drops    Drops
	Peers    []PeerStats // in the order of their addresses
	TCPInfo  TCPInfo     // of the client's socket; at the end, as it was when that was closed

	// Set at the end only:
	Reason CloseReason
	Err    error // more about it; may be nil
}

// counters are those of an allocation. Each way has a goroutine of its own that counts.
type counters struct {
	tallies

	noPermission, noChannel, forbidden, malformed, unsent, tooOld, queueFull, tooFast atomic.Uint64
}

func (c *counters) drops() Drops {
	return Drops{
		NoPermission: c.noPermission.Load(),
		NoChannel:    c.noChannel.Load(),
		Forbidden:    c.forbidden.Load(),
		Malformed:    c.malformed.Load(),
		Unsent:       c.unsent.Load(),
		TooOld:       c.tooOld.Load(),
		QueueFull:    c.queueFull.Load(),
		TooFast:      c.tooFast.Load(),
	}
}

func (f *flow) stats() AllocationStats {
	return AllocationStats{
		ConnInfo: f.conn.info(),
		User:     f.user,
		Relay:    f.addr(),
		TCP:      f.tcp != nil,
		Created:  f.since,
		Up:       f.counts.up.traffic(),
		Down:     f.counts.down.traffic(),
		Drops:    f.counts.drops(),
		Peers:    f.table.peerStats(),
		TCPInfo:  f.conn.tcpInfo(),
	}
}

// Each calls f for every live allocation, in no order, with what it has relayed until now. It costs
// the packets nothing. The allocations may have ended when f is told of them.
func (s *Server) Each(f func(AllocationStats)) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		if flow := c.flow(); flow != nil {
			f(flow.stats())
		}
	}
}
