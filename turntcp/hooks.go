package turntcp

import (
	"net/netip"
	"time"
)

// Hooks are told what happens, for an audit, a bill or a count. Any number of connections call them at the
// same time. They must return soon, because the connection waits, the requests of some others, and Server.Close; and
// they must not call the server. Each may be nil.
type Hooks struct {
	OnAllocationStart   func(AllocationStats)
	OnAllocationEnd     func(AllocationStats) // with all that it has relayed; Server.Each tells of those that live
	OnAllocationRefused func(AllocationRefusal)
	OnPeer              func(PeerPermission) // every peer of an allocation, when it is permitted for the first time
	OnPeerRefused       func(PeerRefusal)    // every permission, channel or stream that was refused with 403
	OnStream            func(StreamStart)    // every stream for which a client has made a connection
	OnAuthRejected      func(AuthRejection)
	OnConnectionEnd     func(ConnectionEnd) // also of one that was refused

	// Admit is asked before every new allocation of a user. An error refuses it, with 508.
	Admit func(user string) error
}

// How an allocation came to a peer.
const (
	ByPermission = "permission" // CreatePermission
	ByChannel    = "channel"    // ChannelBind
	ByConnect    = "connect"    // a stream to the peer (RFC 6062)
	ByAccept     = "accept"     // a stream from the peer
)

// A PeerPermission is the first one of an allocation for a peer.
type PeerPermission struct {
	ConnInfo
	User  string
	Relay netip.AddrPort
	Peer  netip.AddrPort // its port is that of the request, which is 0 where all are meant
	By    string         // ByPermission, ByChannel, ByConnect or ByAccept
}

// A StreamStart is a connection that a client has made for a stream (RFC 6062). The peer's traffic stands in
// what is told of the allocation.
type StreamStart struct {
	ConnInfo        // of the stream's connection
	Control  uint64 // the number of that which has the allocation
	User     string
	Relay    netip.AddrPort
	Peer     netip.AddrPort
}

// A PeerRefusal is a permission or channel that a client was refused.
type PeerRefusal struct {
	ConnInfo
	User   string
	Peer   netip.AddrPort // its port is often 0 where a permission was asked for
	Reason string
}

// An AllocationRefusal is an allocation that a known user was refused.
type AllocationRefusal struct {
	ConnInfo
	User   string
	Code   int    // of the response: 486, 508, ...
	Reason string // one of a few, in words
	Err    error  // more about it; may be nil
}

func (c *conn) refuseAllocation(user string, code int, reason string, err error) {
	if err != nil { // trouble of the server's
		c.log.Warn("allocation refused", "user", user, "code", code, "reason", reason, "error", err)
	} else {
		c.log.Info("allocation refused", "user", user, "code", code, "reason", reason)
	}
	if hook := c.srv.cfg.OnAllocationRefused; hook != nil {
		hook(AllocationRefusal{ConnInfo: c.info(), User: user, Code: code, Reason: reason, Err: err})
	}
}

// An AuthRejection is a request that was not signed as it should have been.
type AuthRejection struct {
	ConnInfo
	User   string // as the request says
	Reason string // one of a few: "unknown user", "wrong password", "expired", ...
}

func (c *conn) reject(user, why string) {
	c.rejected++
	c.log.Info("authentication rejected", "user", user, "reason", why)
	if hook := c.srv.cfg.OnAuthRejected; hook != nil {
		hook(AuthRejection{ConnInfo: c.info(), User: user, Reason: why})
	}
}

// A ConnectionEnd says how long a connection lasted and why it ended.
type ConnectionEnd struct {
	ConnInfo
	Since  time.Time
	Reason CloseReason
	Err    error // more about it
}

func (c *conn) tellEnd(reason error) {
	if hook := c.srv.cfg.OnConnectionEnd; hook != nil {
		hook(ConnectionEnd{ConnInfo: c.info(), Since: c.since, Reason: reasonOf(reason), Err: reason})
	}
}
