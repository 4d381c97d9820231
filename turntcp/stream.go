package turntcp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// connectTimeout is the least that RFC 6062 section 5.2 allows.
	connectTimeout = 30 * time.Second
	// bindTimeout is how long a peer's connection waits for the client's (RFC 6062 section 5.4).
	bindTimeout = 30 * time.Second
	// maxStreams of an allocation; more are refused.
	maxStreams = 64
)

// A stream is a peer's TCP connection, and the client's once that is bound to it.
type stream struct {
	id     uint32
	flow   *flow
	peer   netip.AddrPort
	as     *peer    // what it is counted as
	nc     net.Conn // nil while it is being connected
	expiry *time.Timer
	bound  *conn // the client's
}

// streams are those of a server, by what clients know them by: CONNECTION-ID.
type streams struct {
	mu   sync.Mutex
	byID map[uint32]*stream
}

// add makes a place for a peer's connection, or says why there is none. It is 0 for none.
func (ss *streams) add(f *flow, peer netip.AddrPort) (*stream, stun.ErrorCode) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if f.ended {
		return nil, stun.CodeAllocMismatch
	}
	n := 0
	for _, s := range ss.byID {
		if s.flow != f {
			continue
		}
		if n++; s.peer == peer {
			return nil, stun.CodeConnAlreadyExists
		}
	}
	if n >= maxStreams {
		return nil, stun.CodeInsufficientCapacity
	}
	s := &stream{flow: f, peer: peer}
	for s.id == 0 || ss.byID[s.id] != nil {
		var random [4]byte
		_, _ = rand.Read(random[:]) // never fails
		s.id = binary.BigEndian.Uint32(random[:])
	}
	ss.byID[s.id] = s
	return s, 0
}

// connected gives the stream its connection, which the client must bind within the time. It reports
// false if the stream has ended meanwhile.
func (ss *streams) connected(s *stream, nc net.Conn) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byID[s.id] != s {
		return false
	}
	s.nc = nc
	s.expiry = time.AfterFunc(bindTimeout, func() { ss.expire(s) })
	return true
}

// bind gives the stream the client's connection, if both are of the same user.
func (ss *streams) bind(id uint32, user string, client *conn) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byID[id]
	if s == nil || s.nc == nil || s.bound != nil || s.flow.user != user {
		return nil
	}
	s.expiry.Stop()
	s.bound = client
	return s
}

// expire ends a stream that was not bound.
func (ss *streams) expire(s *stream) {
	ss.mu.Lock()
	waits := s.bound == nil
	ss.mu.Unlock()
	if waits {
		ss.remove(s)
	}
}

// remove ends a stream, with both connections.
func (ss *streams) remove(s *stream) {
	ss.mu.Lock()
	delete(ss.byID, s.id)
	nc, bound := s.nc, s.bound
	if s.expiry != nil {
		s.expiry.Stop()
	}
	ss.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
	if bound != nil {
		bound.hangUp(errStreamEnded)
	}
}

// end ends all streams of an allocation. There will be no more.
func (ss *streams) end(f *flow) {
	ss.mu.Lock()
	f.ended = true
	var all []*stream
	for _, s := range ss.byID {
		if s.flow == f {
			all = append(all, s)
		}
	}
	ss.mu.Unlock()
	for _, s := range all {
		ss.remove(s)
	}
}

// connect answers a Connect request (RFC 6062 section 5.2), later, if this returns 0.
func (c *conn) connect() stun.ErrorCode {
	f := c.flow()
	if f.tcp == nil {
		return stun.CodeForbidden
	}
	var peer netip.AddrPort
	code := stun.CodeBadRequest
	Frame(c.request).eachAttribute(func(attribute uint16, value []byte) {
		if attribute == attrXORPeerAddress && !peer.IsValid() {
			peer, code = c.judgePeer(value, c.request[8:stunHeader])
		}
	})
	switch {
	case code != 0:
		return code
	case !c.srv.relays.permitsTCP(peer):
		c.refusePeer(peer, "a port that is no peer")
		return stun.CodeForbidden
	}
	s, code := c.srv.streams.add(f, peer)
	if code != 0 {
		return code
	}
	s.as = f.meet(peer, ByConnect)
	request, key := append([]byte(nil), c.request...), c.key
	c.srv.running.Go(func() { c.dial(s, request, key) })
	return 0
}

// dial connects to the peer and tells the client. The allocation's end ends it.
func (c *conn) dial(s *stream, request []byte, key stun.MessageIntegrity) {
	ctx, cancel := context.WithTimeout(s.flow.lives, connectTimeout)
	defer cancel()
	nc, err := s.flow.tcp.dial(ctx, s.peer)
	if err == nil && !c.srv.streams.connected(s, nc) {
		nc.Close()
		return
	}
	if err != nil {
		c.srv.streams.remove(s)
		c.log.Info("peer not connected", "user", s.flow.user, "peer", s.peer, "error", err)
		c.reply(request, key, stun.ClassErrorResponse, stun.CodeConnTimeoutOrFailure)
		return
	}
	c.reply(request, key, stun.ClassSuccessResponse, connectionID(s.id))
}

// accepted takes a peer's connection to the relay, and tells the client (RFC 6062 section 5.3).
func (f *flow) accepted(nc net.Conn) {
	from, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		nc.Close()
		return
	}
	at := from.AddrPort()
	peer := f.tcp.rs.knownTCP(netip.AddrPortFrom(plain(at.Addr()), at.Port()))
	if !f.table.permits(peer.Addr()) {
		f.counts.noPermission.Add(1)
		nc.Close()
		return
	}
	s, code := f.conn.srv.streams.add(f, peer)
	if code == 0 && f.tcp.rs.permitsTCP(peer) {
		s.as = f.meet(peer, ByAccept)
	}
	if code != 0 || s.as == nil || !f.conn.srv.streams.connected(s, nc) {
		f.counts.forbidden.Add(1)
		if s != nil {
			f.conn.srv.streams.remove(s)
		}
		nc.Close()
		return
	}
	attempt, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodConnectionAttempt, stun.ClassIndication),
		connectionID(s.id), peerAddress(peer))
	if err == nil {
		_ = f.conn.send(burst{frames: attempt.Raw}) // a failure ends the connection
	}
}

// bindStream answers a ConnectionBind request (RFC 6062 section 5.4). If it reports true the
// connection is the stream's from now on.
func (c *conn) bindStream() bool {
	var id uint32
	Frame(c.request).eachAttribute(func(attribute uint16, value []byte) {
		if attribute == uint16(stun.AttrConnectionID) && len(value) == 4 && id == 0 {
			id = binary.BigEndian.Uint32(value)
		}
	})
	if id == 0 || c.flow() != nil {
		return false
	}
	s := c.srv.streams.bind(id, c.account, c)
	if s == nil {
		return false
	}
	c.stream = s
	if hook := c.srv.cfg.OnStream; hook != nil {
		hook(StreamStart{ConnInfo: c.info(), Control: s.flow.conn.id, User: s.flow.user, Relay: s.flow.addr(), Peer: s.peer})
	}
	c.reply(c.request, c.key, stun.ClassSuccessResponse, connectionID(id))
	return true
}

// bindsAtOnce answers a ConnectionBind that has the nonce of the control connection, as pion's client
// does: for pion, here, that is another server's. It is as good as it was there.
func (c *conn) bindsAtOnce() bool {
	if !c.srv.cfg.TCPRelays || Frame(c.request).messageType() != typeConnectionBind {
		return false
	}
	m := &stun.Message{Raw: append([]byte(nil), c.request...)}
	var username stun.Username
	var realm stun.Realm
	var nonce stun.Nonce
	if m.Decode() != nil || username.GetFrom(m) != nil || realm.GetFrom(m) != nil || nonce.GetFrom(m) != nil {
		return false
	}
	id, err := m.Get(stun.AttrConnectionID)
	if err != nil || len(id) != 4 || realm.String() != c.srv.cfg.Realm || Frame(c.request).hasUnknown() {
		return false
	}
	control := c.srv.streams.nonce(binary.BigEndian.Uint32(id))
	return control != "" && control == nonce.String() && c.lookUp(username.String()) && c.key.Check(m) == nil && c.bindStream()
}

// nonce is the one that the stream's control connection used last.
func (ss *streams) nonce(id uint32) string {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.byID[id]; s != nil {
		if nonce := s.flow.nonce.Load(); nonce != nil {
			return *nonce
		}
	}
	return ""
}

// keepNonce is told of every request that was signed with a nonce that is valid.
func (c *conn) keepNonce() {
	f := c.flow()
	if f == nil || f.tcp == nil {
		return
	}
	Frame(c.request).eachAttribute(func(attribute uint16, value []byte) {
		if attribute == uint16(stun.AttrNonce) {
			nonce := string(value)
			f.nonce.Store(&nonce)
		}
	})
}

// connectionID is a CONNECTION-ID attribute.
func connectionID(id uint32) stun.RawAttribute {
	return stun.RawAttribute{Type: stun.AttrConnectionID, Value: binary.BigEndian.AppendUint32(nil, id)}
}

// reply sends a signed response to a request of ours to answer.
func (c *conn) reply(request []byte, key stun.MessageIntegrity, class stun.MessageClass, what stun.Setter) {
	var m stun.Message
	if stun.Decode(request, &m) != nil {
		return
	}
	response, err := stun.Build(&m, stun.NewType(m.Type.Method, class), what, key)
	if err == nil {
		_ = c.send(burst{frames: response.Raw}) // a failure ends the connection
	}
}
