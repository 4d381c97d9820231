package turntcp

import (
	"crypto/rand"
	"errors"
	"time"
)

// A token is what a RESERVATION-TOKEN holds (RFC 8656 section 18.9).
type token [8]byte

// reservationTime is how long a port is kept for whoever has its token: the least that RFC 8656
// section 7.2 allows.
const reservationTime = 30 * time.Second

// A reservation is a relay whose port nobody else can have meanwhile.
type reservation struct {
	relay  *relay
	user   string // whose it is
	expiry *time.Timer
}

var errNoReservation = errors.New("no port is reserved under this token")

// reserve opens a relay for later.
func (rs *relays) reserve(h *relayHost, port uint16, user string) (token, error) {
	r, err := rs.listen(h, port)
	if err != nil {
		return token{}, err
	}
	var t token
	_, _ = rand.Read(t[:]) // never fails
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.held[t] = &reservation{r, user, time.AfterFunc(reservationTime, func() { rs.release(t) })}
	return t, nil
}

// take returns the relay that is reserved for the user, which is so no longer.
func (rs *relays) take(t token, user string) (*relay, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	held, ok := rs.held[t]
	if !ok || held.user != user {
		return nil, errNoReservation
	}
	delete(rs.held, t)
	held.expiry.Stop()
	held.relay.host.setLive(held.relay.port, true)
	return held.relay, nil
}

// release gives up a reservation, if there is one.
func (rs *relays) release(t token) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if held, ok := rs.held[t]; ok {
		delete(rs.held, t)
		held.expiry.Stop()
		held.relay.Close()
		rs.expired(held.user)
	}
}

// releaseAll is for the server's end.
func (rs *relays) releaseAll() {
	rs.mu.Lock()
	tokens := make([]token, 0, len(rs.held))
	for t := range rs.held {
		tokens = append(tokens, t)
	}
	rs.mu.Unlock()
	for _, t := range tokens {
		rs.release(t)
	}
}

// isIPv6 tells the family of a reserved port.
func (rs *relays) isIPv6(t token) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	held, ok := rs.held[t]
	return ok && !held.relay.isIPv4()
}
