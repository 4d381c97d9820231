package turntcp

import (
	"net/netip"
	"sync"
)

// A table says what an allocation's client may exchange with whom. pion's events keep it; the data
// plane asks it for each packet. An expired permission blocks a bound channel too (RFC 8656 section
// 12): they expire at different times.
type table struct {
	mu        sync.RWMutex // of one allocation, so hardly ever waited for
	permitted map[netip.Addr]struct{}
	peers     map[uint16]netip.AddrPort // by channel
	channels  map[netip.AddrPort]uint16 // by peer
}

func newTable() table {
	return table{
		permitted: make(map[netip.Addr]struct{}),
		peers:     make(map[uint16]netip.AddrPort),
		channels:  make(map[netip.AddrPort]uint16),
	}
}

// permits tells whether the address has a permission.
func (t *table) permits(peer netip.Addr) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.permitted[peer]
	return ok
}

// peer returns the peer that a channel is bound to, and whether it has a permission.
func (t *table) peer(channel uint16) (peer netip.AddrPort, bound, permitted bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if peer, bound = t.peers[channel]; bound {
		_, permitted = t.permitted[peer.Addr()]
	}
	return peer, bound, permitted
}

// channel returns the channel that a peer's datagrams go by, 0 if by indications, and whether the
// peer has a permission.
func (t *table) channel(peer netip.AddrPort) (channel uint16, permitted bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if _, permitted = t.permitted[peer.Addr()]; permitted {
		channel = t.channels[peer]
	}
	return channel, permitted
}

// hasRoomFor tells whether all the addresses have a permission or may get one, and so for the channel
// (0 for none). pion keeps any number.
func (t *table) hasRoomFor(peers map[netip.Addr]struct{}, channel uint16, maxPermissions, maxChannels int) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := len(t.permitted)
	for p := range peers {
		if _, has := t.permitted[p]; !has {
			n++
		}
	}
	_, bound := t.peers[channel]
	return (n <= maxPermissions || n == len(t.permitted)) && (channel == 0 || bound || len(t.peers) < maxChannels)
}

func (t *table) permit(peer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.permitted[peer] = struct{}{}
}

func (t *table) forbid(peer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.permitted, peer)
}

func (t *table) bind(channel uint16, peer netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peers[channel], t.channels[peer] = peer, channel
}

func (t *table) unbind(channel uint16, peer netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.peers, channel)
	delete(t.channels, peer)
}
