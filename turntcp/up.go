package turntcp

import "net/netip"

// Upwards: from the client to its peers. The datagrams of all frames that one read brought are sent
// in one go before the connection is read again, so that none of them waits for another read.

// upstream gathers datagrams of one allocation. It borrows its batch while it has any.
type upstream struct {
	flow  *flow
	batch *sendBatch
}

// forward relays a ChannelData frame or a Send indication, or drops it without a word (RFC 8656
// sections 11.2 and 12.6).
func (c *conn) forward(frame Frame) {
	f := c.flow()
	if f == nil || f.relay == nil {
		return
	}
	peer, payload, ok := f.addressee(frame)
	switch {
	case !ok:
	case !f.relay.rs.permits(peer):
		f.counts.forbidden.Add(1)
	case !f.upRate.pass(len(payload)):
		f.counts.tooFast.Add(1)
	case !peer.Addr().Is4():
		f.sendAlone(f.relay.rs.reach(peer), payload)
	default:
		c.up.add(f, f.relay.rs.reach(peer), payload)
	}
}

// addressee returns what a frame carries to whom, or counts why it carries nothing.
func (f *flow) addressee(frame Frame) (peer netip.AddrPort, payload []byte, ok bool) {
	var permitted bool
	if frame.IsChannelData() {
		if peer, ok, permitted = f.table.peer(frame.Channel()); !ok {
			f.counts.noChannel.Add(1)
			return peer, nil, false
		}
		payload = frame.Payload()
	} else {
		if peer, payload, ok = parseIndication(frame); !ok {
			f.counts.malformed.Add(1)
			return peer, nil, false
		}
		permitted = f.table.permits(peer.Addr())
	}
	if !permitted {
		f.counts.noPermission.Add(1)
	}
	return peer, payload, permitted
}

func (u *upstream) add(f *flow, to netip.AddrPort, payload []byte) {
	if u.flow != f {
		u.flush()
	}
	if u.batch == nil {
		u.flow, u.batch = f, sendBatches.Get().(*sendBatch)
	}
	if u.batch.add(to, payload); u.batch.full() {
		u.flush()
	}
}

// flush sends what has been gathered. The frames that it lies in must not have moved.
func (u *upstream) flush() {
	if u.batch == nil {
		return
	}
	counts := &u.flow.counts
	packets, bytes, failed := u.batch.send(u.flow.relay)
	counts.up.packets.Add(uint64(packets))
	counts.up.bytes.Add(uint64(bytes))
	counts.unsent.Add(uint64(failed))
	sendBatches.Put(u.batch)
	u.flow, u.batch = nil, nil
}
