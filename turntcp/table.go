package turntcp

import (
	"net/netip"
	"sync"
)

// A table says what an allocation's client may exchange with whom. pion's events keep it; the data
// plane asks it for each packet. An expired permission blocks a bound channel too (RFC 8656 section
// 12): they expire at different times.
type table struct {
	mu        sync.RWMutex         // of one allocation, so hardly ever waited for
	permitted map[netip.Addr]*peer // with what other ports than those that are known count to
	channels  map[uint16]*peer
	known     map[netip.AddrPort]*peer // all that ever were permitted, or the first of them
	others    *peer                    // the rest; nil while there is none
}

func newTable() table {
	return table{
		permitted: make(map[netip.Addr]*peer),
		channels:  make(map[uint16]*peer),
		known:     make(map[netip.AddrPort]*peer),
	}
}

// permits tells whether the address has a permission.
func (t *table) permits(a netip.Addr) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.permitted[a] != nil
}

// bound returns the peer that a channel is bound to, nil for none, and whether it has a permission.
func (t *table) bound(channel uint16) (p *peer, permitted bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p = t.channels[channel]; p != nil {
		permitted = t.permitted[p.at.Addr()] != nil
	}
	return p, permitted
}

// peer returns whom the address is to be counted as, nil if it has no permission, and the channel that
// its datagrams go by, 0 if by indications.
func (t *table) peer(at netip.AddrPort) (p *peer, channel uint16) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p = t.permitted[at.Addr()]; p == nil {
		return nil, 0
	}
	if known := t.known[at]; known != nil {
		p = known
	}
	return p, p.channel
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
	_, bound := t.channels[channel]
	return (n <= maxPermissions || n == len(t.permitted)) && (channel == 0 || bound || len(t.channels) < maxChannels)
}

func (t *table) permit(a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.permitted[a], _ = t.knowLocked(netip.AddrPortFrom(a, 0))
}

func (t *table) forbid(peer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.permitted, peer)
}
