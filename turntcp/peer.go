package turntcp

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
)

// maxPeers bounds how many peers of an allocation are told apart. What it exchanges with more of them is
// counted together.
const maxPeers = 512

// A peer is whom an allocation exchanges data with: an address and port that a permission, a channel or
// a stream was asked for with, or all other ports of an address that has a permission (port 0). It is
// made when that is asked for, and kept until the allocation ends; the packets only add to it.
type peer struct {
	at      netip.AddrPort // zero for all that are not told apart
	channel uint16         // 0 for none; the table's lock guards it
	*tallies
}

// tallies count what went both ways.
type tallies struct{ up, down tally }

// A tally counts what went one way.
type tally struct{ packets, bytes atomic.Uint64 }

func (t *tally) add(packets, bytes int) {
	t.packets.Add(uint64(packets))
	t.bytes.Add(uint64(bytes))
}

func (t *tally) traffic() Traffic { return Traffic{t.packets.Load(), t.bytes.Load()} }

// know returns the peer, and whether the address is new here, as far as that is remembered.
func (t *table) know(at netip.AddrPort) (p *peer, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.knowLocked(at)
}

func (t *table) knowLocked(at netip.AddrPort) (p *peer, first bool) {
	if p = t.known[at]; p != nil {
		return p, false
	}
	if len(t.known) < maxPeers {
		p = &peer{at: at, tallies: new(tallies)}
		t.known[at] = p
		return p, true
	}
	if t.others == nil {
		t.others = &peer{tallies: new(tallies)}
	}
	// One with a permission has been told, if perhaps with another port.
	return t.others, t.permitted[at.Addr()] == nil
}

// bind gives a channel to a peer that has none. Those that are not told apart need an entry while they
// have one: a datagram must find its channel.
func (t *table) bind(channel uint16, at netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, _ := t.knowLocked(at)
	if p == t.others {
		p = &peer{at: at, tallies: t.others.tallies}
		t.known[at] = p
	}
	t.channels[channel], p.channel = p, channel
}

func (t *table) unbind(channel uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.channels[channel]
	if p == nil {
		return
	}
	delete(t.channels, channel)
	p.channel = 0
	if t.others != nil && p.tallies == t.others.tallies {
		delete(t.known, p.at)
	}
}

// PeerStats is what an allocation has exchanged with a peer. Up is what was sent to it; of Down, what
// came from it, some may have been dropped on the way to a slow client.
type PeerStats struct {
	// Peer has port 0 where it stands for the ports of an address that no channel and no permission
	// named, and is zero for all peers beyond the first 512 of an allocation.
	Peer     netip.AddrPort
	Up, Down Traffic
}

// peerStats are all that were permitted, in the order of their addresses. Port 0 is left out where it
// says nothing.
func (t *table) peerStats() (all []PeerStats) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	named := make(map[netip.Addr]bool)
	for at := range t.known {
		named[at.Addr()] = named[at.Addr()] || at.Port() != 0
	}
	for at, p := range t.known {
		s := p.stats()
		if t.others != nil && p.tallies == t.others.tallies || at.Port() == 0 && named[at.Addr()] && s.isSilent() {
			continue
		}
		all = append(all, s)
	}
	if t.others != nil {
		all = append(all, t.others.stats())
	}
	slices.SortFunc(all, func(a, b PeerStats) int {
		return cmp.Or(a.Peer.Addr().Compare(b.Peer.Addr()), cmp.Compare(a.Peer.Port(), b.Peer.Port()))
	})
	return all
}

func (p *peer) stats() PeerStats { return PeerStats{p.at, p.up.traffic(), p.down.traffic()} }

func (s PeerStats) isSilent() bool { return s.Up == (Traffic{}) && s.Down == (Traffic{}) }
