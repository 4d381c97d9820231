package turntcp

import "net/netip"

// Upwards: from the client to its peers. The datagrams of all frames that one read brought are sent
// in one go before the connection is read again, so that none of them waits for another read.

// upstream gathers datagrams of one allocation. It borrows its batch while it has any.
type upstream struct {
	flow  *flow
	batch *sendBatch

	peer           *peer // to whom the last of them go, which are not counted as his yet
	packets, bytes int
}

// forward relays a ChannelData frame or a Send indication, or drops it without a word (RFC 8656
// sections 11.2 and 12.6).
func (c *conn) forward(frame Frame) {
	f := c.flow()
	if f == nil || f.relay == nil {
		return
	}
	peer, at, payload := f.addressee(frame)
	switch {
	case peer == nil:
	case !f.relay.rs.permits(at):
		f.counts.forbidden.Add(1)
	case !f.upRate.pass(len(payload)):
		f.counts.tooFast.Add(1)
	case !at.Addr().Is4():
		f.sendAlone(peer, f.relay.rs.reach(at), payload)
	default:
		c.up.add(f, peer, f.relay.rs.reach(at), payload)
	}
}

// addressee returns what a frame carries to whom, or counts why it carries nothing: peer is nil then.
func (f *flow) addressee(frame Frame) (peer *peer, at netip.AddrPort, payload []byte) {
	if frame.IsChannelData() {
		p, permitted := f.table.bound(frame.Channel())
		switch {
		case p == nil:
			f.counts.noChannel.Add(1)
		case !permitted:
			f.counts.noPermission.Add(1)
		default:
			return p, p.at, frame.Payload()
		}
		return nil, at, nil
	}
	at, payload, ok := parseIndication(frame)
	if !ok {
		f.counts.malformed.Add(1)
		return nil, at, nil
	}
	if peer, _ = f.table.peer(at); peer == nil {
		f.counts.noPermission.Add(1)
	}
	return peer, at, payload
}

func (u *upstream) add(f *flow, peer *peer, to netip.AddrPort, payload []byte) {
	if u.flow != f {
		u.flush()
	}
	if u.peer != peer {
		u.settle()
		u.peer = peer
	}
	u.packets++
	u.bytes += len(payload)
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
	counts.up.add(packets, bytes)
	counts.unsent.Add(uint64(failed))
	sendBatches.Put(u.batch)
	u.settle()
	u.flow, u.batch, u.peer = nil, nil, nil
}

// settle counts what goes to one peer as his, once for all of a train.
func (u *upstream) settle() {
	if u.packets > 0 {
		u.peer.up.add(u.packets, u.bytes)
		u.packets, u.bytes = 0, 0
	}
}
