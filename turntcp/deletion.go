package turntcp

import "github.com/pion/stun/v4"

// pion deletes an allocation when its time is over, when its relay cannot be read, or when its client asks for it. No goroutine
// of pion's reads our relays, so where a connection has ended we ask in its client's place, by a Refresh with a
// lifetime of 0 (RFC 8656 section 8.2) that never leaves this program.

// A deletion is such a request.
type deletion struct {
	flow  *flow
	stale bool // pion's nonce has changed
}

// Of our requests. authenticate takes them for the allocation's user's without a look at either.
const ownName = "turngate"

var ownKey = stun.MessageIntegrity(ownName)

// delete has pion delete an allocation of a connection that is not read any more.
func (ct *control) delete(f *flow) {
	c := f.conn
	for range maxAttempts {
		c.exchange = &exchange{deletion: &deletion{flow: f}}
		ct.do(c)
		if !c.deletion.stale {
			break
		}
	}
	c.exchange = nil
}

// request is for pion's goroutine, which makes no other meanwhile: the nonce is of the last answer.
func (d *deletion) request(nonce stun.Nonce, realm string) []byte {
	m, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
		stun.RawAttribute{Type: stun.AttrLifetime, Value: make([]byte, 4)},
		stun.NewUsername(ownName), stun.NewRealm(realm), nonce, ownKey)
	if err != nil {
		return nil // only what does not fit fails, and the realm has been told to clients
	}
	return m.Raw
}

// answered looks at pion's answer. It returns the nonce for the next request, if there is a new one.
func (d *deletion) answered(p []byte) (nonce stun.Nonce) {
	var m stun.Message
	var code stun.ErrorCodeAttribute
	if stun.Decode(p, &m) != nil || code.GetFrom(&m) != nil || nonce.GetFrom(&m) != nil {
		return nil
	}
	d.stale = true
	return nonce
}
