package turntcp

import (
	"encoding/binary"
	"time"

	"github.com/pion/stun/v4"
)

// pion's answers to Allocate and Refresh differ from what RFC 8656 demands in how long an allocation
// lives, and it reserves ports without holding them. So pion is shown those requests as it can answer
// them, signed again: with the lifetime that we grant, and without what is ours to fulfil.

const (
	// defaultLifetime and maxLifetime of an allocation are those of RFC 8656 sections 3.2 and 7.2.
	defaultLifetime = 10 * time.Minute
	maxLifetime     = time.Hour
)

// grant is how long an allocation shall live for which so many seconds are asked (RFC 8656 sections
// 7.2 and 8.2).
func (s *Server) grant(seconds uint32) time.Duration {
	return max(s.leastLifetime, min(time.Duration(seconds)*time.Second, maxLifetime))
}

// A wish is what an Allocate request says about its relay.
type wish struct {
	user    string
	ipv6    bool  // REQUESTED-ADDRESS-FAMILY
	even    bool  // EVEN-PORT
	reserve bool  // with the R bit: the next port, too
	token   token // RESERVATION-TOKEN; zero for none

	refused stun.ErrorCode // what is wrong with it; 0 for nothing
}

// ports is how many allocations of the user's it counts as. A reserved port counts at once.
func (w wish) ports() int {
	switch {
	case w.reserve:
		return 2
	case w.token != (token{}):
		return 0
	}
	return 1
}

// shown is what pion gets of a request. What is not signed by a user is for pion to refuse as it is.
func (c *conn) shown(frame Frame) Frame {
	kind := frame.messageType()
	if kind != typeAllocate && kind != typeRefresh {
		return frame
	}
	m := &stun.Message{Raw: append([]byte(nil), frame...)}
	if m.Decode() != nil {
		return frame
	}
	var username stun.Username
	if username.GetFrom(m) != nil || !c.lookUp(username.String()) || c.key.Check(m) != nil {
		return frame
	}
	signed := signedAttributes(m)
	if kind == typeAllocate {
		c.wish = readWish(signed)
	}
	rewritten, err := c.rewrite(m, signed, kind == typeAllocate)
	if err != nil {
		return frame
	}
	return rewritten
}

// signedAttributes are the first ones of each kind before MESSAGE-INTEGRITY: those behind it are to be
// ignored (RFC 8489 section 14.5), and so are repetitions, but for the peers of CreatePermission, which
// does not come here (RFC 8489 section 14).
func signedAttributes(m *stun.Message) (all []stun.RawAttribute) {
	seen := make(map[stun.AttrType]bool)
	for _, a := range m.Attributes {
		if a.Type == stun.AttrMessageIntegrity {
			break
		}
		if !seen[a.Type] {
			seen[a.Type] = true
			all = append(all, a)
		}
	}
	return all
}

// rewrite is the request with the lifetime that we grant, and with nothing about second ports.
func (c *conn) rewrite(m *stun.Message, signed []stun.RawAttribute, allocate bool) (Frame, error) {
	setters := []stun.Setter{m, m.Type}
	seconds := uint32(0)
	asked := false
	for _, a := range signed {
		switch {
		case a.Type == stun.AttrLifetime && len(a.Value) == 4:
			seconds, asked = binary.BigEndian.Uint32(a.Value), true
		case a.Type == stun.AttrLifetime:
		case allocate && (a.Type == stun.AttrEvenPort || a.Type == stun.AttrReservationToken):
		default:
			setters = append(setters, a)
		}
	}
	if allocate && c.wish.token != (token{}) && c.srv.relays.isIPv6(c.wish.token) {
		setters = append(setters, stun.RawAttribute{Type: stun.AttrRequestedAddressFamily, Value: []byte{familyIPv6, 0, 0, 0}})
	}
	lifetime := c.srv.grant(seconds)
	if asked && seconds == 0 && !allocate {
		lifetime = 0 // ends it
		c.deletes.Store(true)
	}
	setters = append(setters, stun.RawAttribute{Type: stun.AttrLifetime,
		Value: binary.BigEndian.AppendUint32(nil, uint32(lifetime/time.Second))}, c.key)
	rewritten, err := stun.Build(setters...)
	if err != nil {
		return nil, err
	}
	return rewritten.Raw, nil
}

// additionalFamily asks for a second relay, of IPv6 (RFC 8656 section 18.11). We offer none, which a
// client must be prepared for, but what contradicts itself is refused all the same.
const additionalFamily = stun.AttrType(0x8000)

// readWish reads what is asked for, and judges what pion does not.
func readWish(attributes []stun.RawAttribute) (w wish) {
	has := make(map[stun.AttrType][]byte)
	for _, a := range attributes {
		has[a.Type] = a.Value
	}
	value, family := has[stun.AttrRequestedAddressFamily]
	w.ipv6 = len(value) == 4 && value[0] == familyIPv6

	value, w.even = has[stun.AttrEvenPort]
	malformed := w.even && len(value) != 1
	w.reserve = w.even && !malformed && value[0]&0x80 != 0

	value, tokened := has[stun.AttrReservationToken]
	malformed = malformed || tokened && copy(w.token[:], value) != len(value) || tokened && len(value) != len(w.token)

	value, additional := has[additionalFamily]
	malformed = malformed || additional && (len(value) != 4 || value[0] != familyIPv6)

	value, timed := has[stun.AttrLifetime]
	malformed = malformed || timed && len(value) != 4

	if malformed || tokened && (w.even || family || additional) || additional && (family || w.reserve) {
		w.refused = stun.CodeBadRequest
	}
	if tokened && w.token == (token{}) && w.refused == 0 {
		w.refused = stun.CodeInsufficientCapacity // no token of ours
	}
	return w
}
