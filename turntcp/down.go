package turntcp

import (
	"net/netip"
	"sync/atomic"
)

// Downwards: from the peers to the client. All datagrams that one system call brought go out in one
// write, unless they are more than maxSegment.

// maxSegment in bytes is written at once, which is also what a TLS record holds at most: more at
// once would only wait in the kernel, where it can no longer be dropped. A larger frame goes alone.
const maxSegment = 16 << 10

// down relays what an inbox holds. It is called by the goroutine that reads the relay and never waits
// for the client.
func (f *flow) down(in *inbox) {
	out := burst{frames: in.out[:0], counts: &f.counts}
	var from sender
	for i := range in.count() {
		at, datagrams, size := in.message(i)
		if at != from.at { // of a train all but the first are from the same
			from = f.sender(at)
		}
		packets, bytes := 0, 0
		for more := true; more; more = len(datagrams) > 0 {
			payload := datagrams[:min(size, len(datagrams))]
			datagrams = datagrams[len(payload):]
			switch {
			case from.refused != nil:
				from.refused.Add(1)
				continue
			case !f.downRate.pass(len(payload)):
				f.counts.tooFast.Add(1)
				continue
			}
			if len(out.frames) > 0 && len(out.frames)+len(payload)+maxOverhead > maxSegment {
				_ = f.conn.send(out) // its failure ends the connection
				out = burst{frames: out.frames[:0], counts: &f.counts}
			}
			out.append(from.known, from.channel, payload)
			packets, bytes = packets+1, bytes+len(payload)
		}
		if packets > 0 {
			from.peer.down.add(packets, bytes)
		}
	}
	if len(out.frames) > 0 {
		_ = f.conn.send(out)
	}
	in.out = out.frames
}

// A sender is who a datagram is from: by its address, as the client knows him, and as we count him; and by
// which channel it goes, or what to count it as if it may not pass.
type sender struct {
	at, known netip.AddrPort
	peer      *peer
	channel   uint16
	refused   *atomic.Uint64
}

func (f *flow) sender(at netip.AddrPort) sender {
	s := sender{at: at, known: f.relay.rs.known(netip.AddrPortFrom(plain(at.Addr()), at.Port()))}
	s.peer, s.channel = f.table.peer(s.known)
	switch {
	case s.peer == nil:
		s.refused = &f.counts.noPermission
	case !f.relay.rs.permits(s.known):
		s.refused = &f.counts.forbidden
	}
	return s
}

// A burst is frames that came together. Those of data belong to an allocation, whose counters they
// go to.
type burst struct {
	frames  []byte
	packets int
	bytes   int // of payload
	size    int // of the frames while they are in a queue
	counts  *counters
}

// maxOverhead in bytes is what a frame has more than its payload: a Data indication from an IPv4 peer.
const maxOverhead = stunHeader + 12 + 4 + 3

func (b *burst) append(from netip.AddrPort, channel uint16, payload []byte) {
	if channel != 0 {
		b.frames = AppendChannelData(b.frames, channel, payload)
	} else {
		b.frames = appendIndication(b.frames, typeDataIndication, from, payload)
	}
	b.packets++
	b.bytes += len(payload)
}

// sent counts a burst that the client's connection took.
func (b *burst) sent() {
	if b.counts != nil {
		b.counts.down.add(b.packets, b.bytes)
	}
}
