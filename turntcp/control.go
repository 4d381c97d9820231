package turntcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// maxControls is how many pion servers share the connections of a server. Each costs 30 KB and holds up the
// requests of others by one at a time.
const maxControls = 16

// A control is a pion server and what it needs of us. For pion it is a net.PacketConn from which the
// requests of its connections come, one at a time: the next one only after the last has been answered.
// So every callback of a request knows whom it is about. The callbacks run under pion's locks: they must not
// block and not call pion.
//
// pion tells allocations apart by the address of the client and ours. Ours, as pion sees it, is a number that no other
// connection has or will have (conn.tag): pion can never take one connection's allocation for another's.
type control struct {
	srv      *Server
	turns    sync.Mutex // held while a request is worked on
	requests chan *conn // to pion's goroutine
	answered chan struct{}
	current  *conn // whose request pion's goroutine works on

	nonce stun.Nonce // for our own requests; of pion's goroutine

	mu     sync.Mutex
	owners map[net.Addr]*conn // by tag
}

func newControl(s *Server) (*control, error) {
	ct := &control{srv: s, requests: make(chan *conn), answered: make(chan struct{}), owners: make(map[net.Addr]*conn)}
	// The pion server is not kept: it has nothing to close but this.
	_, err := turn.NewServer(turn.ServerConfig{
		Realm:         s.cfg.Realm,
		AuthHandler:   ct.authenticate,
		LoggerFactory: pionLog{s.log},
		EventHandler: turn.EventHandler{
			OnAuth:              ct.authenticated,
			OnAllocationCreated: ct.allocationCreated,
			OnAllocationDeleted: ct.allocationDeleted,
			OnPermissionCreated: ct.permissionCreated,
			OnPermissionDeleted: ct.permissionDeleted,
			OnChannelCreated:    ct.channelCreated,
			OnChannelDeleted:    ct.channelDeleted,
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            ct,
			RelayAddressGenerator: ct,
			PermissionHandler:     ct.permit,
		}},
		PermissionTimeout:   s.cfg.permissionTimeout,
		AllocationLifetime:  maxLifetime, // pion grants it where that, or more, is asked for
		StrictAddressFamily: true,        // no family asked for is IPv4 (RFC 8656 section 7.2), also for clients that come by IPv6
		InboundMTU:          maxServerFrame + maxShown,
	})
	return ct, err
}

// maxShown in bytes is what a request may grow by when it is shown to pion, and one more: pion drops a
// frame that fills its buffer.
const maxShown = 64

// do has a connection's request worked on, in the goroutine of pion, while that of the connection waits.
// What requests need is not on its stack, which lasts.
func (ct *control) do(c *conn) {
	ct.turns.Lock()
	defer ct.turns.Unlock()
	ct.requests <- c
	<-ct.answered
}

// ReadFrom gives pion the next request. pion asks for it when it has answered the last.
func (ct *control) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if ct.current != nil {
			ct.current = nil
			ct.answered <- struct{}{}
		}
		select {
		case ct.current = <-ct.requests:
		case <-ct.srv.silent:
			ct.srv.controlling.Done()
			return 0, nil, net.ErrClosed
		}
		if n := ct.handOver(p); n > 0 {
			return n, ct.current.nc.RemoteAddr(), nil
		}
	}
}

func (ct *control) handOver(p []byte) int {
	if d := ct.current.deletion; d != nil {
		return copy(p, d.request(ct.nonce, ct.srv.cfg.Realm))
	}
	return ct.current.handOver(p)
}

// WriteTo sends a response of pion's.
func (ct *control) WriteTo(p []byte, _ net.Addr) (int, error) {
	if d := ct.current.deletion; d != nil {
		if nonce := d.answered(p); nonce != nil {
			ct.nonce = nonce
		}
		return len(p), nil
	}
	if err := ct.current.answer(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// LocalAddr is where pion thinks a request came to.
func (ct *control) LocalAddr() net.Addr { return &ct.current.tag.addr }

// The rest of a net.PacketConn is for pion's own servers.

func (ct *control) Close() error                     { return nil }
func (ct *control) SetDeadline(time.Time) error      { return nil }
func (ct *control) SetReadDeadline(time.Time) error  { return nil }
func (ct *control) SetWriteDeadline(time.Time) error { return nil }

// A tag is a connection's address as pion sees it: its number.
type tag struct {
	addr net.UDPAddr
	ip   [net.IPv6len]byte
}

func (t *tag) set(id uint64) {
	binary.BigEndian.PutUint64(t.ip[8:], id)
	t.addr.IP = t.ip[:]
}

func (ct *control) enter(c *conn) {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	ct.owners[&c.tag.addr] = c
}

func (ct *control) leave(c *conn) {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	delete(ct.owners, &c.tag.addr)
}

// flow is the one with the relayed address. A timer of pion's may come late: then there is none any more.
func (ct *control) flow(tag, relayed net.Addr) *flow {
	if c := ct.owner(tag); c != nil {
		return c.flowOf(relayed)
	}
	return nil
}

// owner is the connection of an allocation.
func (ct *control) owner(tag net.Addr) *conn {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	return ct.owners[tag]
}

func (ct *control) authenticate(ra *turn.RequestAttributes) (string, []byte, bool) {
	if d := ct.current.deletion; d != nil {
		return d.flow.user, ownKey, true
	}
	return ct.current.authenticate(ra)
}

func (ct *control) authenticated(_, _ net.Addr, _, user, _, _ string, ok bool) {
	if ct.current.deletion == nil {
		ct.current.authenticated(user, ok)
	}
}

// permit is where pion asks about a peer of CreatePermission or ChannelBind. They have been judged.
func (ct *control) permit(net.Addr, net.IP) bool {
	c := ct.current
	c.refusal = c.verdict
	return c.verdict == 0
}

// Validate and the three below are a relay address generator for pion.
func (ct *control) Validate() error { return nil }

func (ct *control) AllocatePacketConn(a turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	r, err := ct.current.openRelay(a.UserID)
	if err != nil {
		return nil, nil, err
	}
	return r, r.told, nil
}

func (ct *control) AllocateListener(a turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	r, err := ct.current.openTCPRelay(a.UserID)
	if err != nil {
		return nil, nil, err
	}
	return r, r.told, nil
}

// AllocateConn is never asked for: Connect is ours.
func (ct *control) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errRefused }

func (ct *control) allocationCreated(_, _ net.Addr, _, user, _ string, _ net.Addr, _ int) {
	ct.current.allocationCreated(user)
}

// What ends, ends by timers, too.

func (ct *control) allocationDeleted(_, tag net.Addr, _, _, _ string) {
	ct.owner(tag).allocationDeleted()
}

func (ct *control) permissionCreated(_, tag net.Addr, _, _, _ string, relayed net.Addr, ip net.IP) {
	if f := ct.flow(tag, relayed); f != nil {
		f.table.permit(peerIP(ip))
	}
}

func (ct *control) permissionDeleted(_, tag net.Addr, _, _, _ string, relayed net.Addr, ip net.IP) {
	if f := ct.flow(tag, relayed); f != nil {
		f.table.forbid(peerIP(ip))
	}
}

func (ct *control) channelCreated(_, tag net.Addr, _, _, _ string, relayed, peer net.Addr, number uint16) {
	if f := ct.flow(tag, relayed); f != nil {
		at := udpAddrPort(peer)
		f.meet(at, ByChannel)
		f.table.bind(number, at)
	}
}

func (ct *control) channelDeleted(_, tag net.Addr, _, _, _ string, relayed, _ net.Addr, number uint16) {
	if f := ct.flow(tag, relayed); f != nil {
		f.table.unbind(number)
	}
}

// peerIP is pion's address of a permission.
func peerIP(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return plain(a)
}

// udpAddrPort is pion's address of a peer.
func udpAddrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(plain(ap.Addr()), ap.Port())
}
