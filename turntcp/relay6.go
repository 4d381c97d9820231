package turntcp

import (
	"net/netip"
	"sync"
)

// IPv6 relays (RFC 8656 section 7.2, REQUESTED-ADDRESS-FAMILY) take one system call for each datagram:
// clients that come through a proxy hardly ever ask for one, so the batches are for IPv4 alone.

// A letter is one datagram of an IPv6 relay, and room for the frame that it becomes.
type letter struct {
	buf [65536]byte
	out []byte
}

var letters = sync.Pool{New: func() any { return new(letter) }}

// sendAlone sends a datagram from an IPv6 relay.
func (f *flow) sendAlone(peer *peer, to netip.AddrPort, payload []byte) {
	if err := f.relay.sendOne(payload, to); err != nil {
		f.counts.unsent.Add(1)
		return
	}
	f.counts.up.add(1, len(payload))
	peer.up.add(1, len(payload))
}

// downAlone relays a datagram that came to an IPv6 relay.
func (f *flow) downAlone(at netip.AddrPort, l *letter, n int) {
	from := f.sender(at)
	switch {
	case from.refused != nil:
		from.refused.Add(1)
		return
	case !f.downRate.pass(n):
		f.counts.tooFast.Add(1)
		return
	}
	out := burst{frames: l.out[:0], counts: &f.counts}
	out.append(from.known, from.channel, l.buf[:n])
	from.peer.down.add(1, n)
	_ = f.conn.send(out) // its failure ends the connection
	l.out = out.frames
}
