package service

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// liveEvery is how often the audit log says what a living allocation has relayed, so that a crash, or a
// call of hours, leaves a trace. It is looked at every liveTick.
const (
	liveEvery = 5 * time.Minute
	liveTick  = 15 * time.Second
)

// A record is a line of the audit log: what happened to whom.
type record struct {
	Time time.Time `json:"time"`
	Msg  string    `json:"msg"`
	Identity
	Relay         string     `json:"relay,omitempty"`
	RelayProtocol string     `json:"relay_protocol,omitempty"`
	Created       *time.Time `json:"created,omitempty"`
	Peer          string     `json:"peer,omitempty"`
	By            string     `json:"by,omitempty"`
	Control       uint64     `json:"control,omitempty"` // of a stream: the connection that has the allocation
	Code          int        `json:"code,omitempty"`    // of the response
	Reason        string     `json:"reason,omitempty"`
	Detail        string     `json:"detail,omitempty"`
	*Usage
}

// An audit writes records. It never waits. A nil one writes none.
type audit struct {
	*lines
	realm string
}

func (a *audit) write(r record) {
	if a == nil {
		return
	}
	r.Time = time.Now().UTC().Truncate(time.Millisecond)
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if e.Encode(r) == nil { // nothing in it cannot be encoded
		_, _ = a.Write(line.Bytes())
	}
}

func (a *audit) begun(s turntcp.AllocationStats) { a.allocation("allocation created", s, false) }

func (a *audit) live(s turntcp.AllocationStats) { a.allocation("live", s, true) }

func (a *audit) ended(s turntcp.AllocationStats) { a.allocation("allocation deleted", s, true) }

func (a *audit) allocation(msg string, s turntcp.AllocationStats, used bool) {
	if a == nil {
		return
	}
	created := s.Created.UTC().Truncate(time.Millisecond)
	r := record{Msg: msg, Identity: identify(s.ConnInfo, s.User, a.realm), Relay: s.Relay.String(), RelayProtocol: relayProtocol(s),
		Created: &created, Reason: string(s.Reason), Detail: text(s.Err)}
	if used {
		u := usage(s, time.Now())
		r.Usage = &u
	}
	a.write(r)
}

func (a *audit) peer(p turntcp.PeerPermission) {
	if a != nil {
		a.write(record{Msg: "peer permitted", Identity: identify(p.ConnInfo, p.User, a.realm), Relay: p.Relay.String(),
			Peer: peerName(p.Peer), By: p.By})
	}
}

func (a *audit) stream(s turntcp.StreamStart) {
	if a != nil {
		a.write(record{Msg: "stream bound", Identity: identify(s.ConnInfo, s.User, a.realm), Control: s.Control,
			Relay: s.Relay.String(), Peer: peerName(s.Peer)})
	}
}

func (a *audit) peerRefused(p turntcp.PeerRefusal) {
	if a != nil {
		a.write(record{Msg: "peer refused", Identity: identify(p.ConnInfo, p.User, a.realm), Peer: peerName(p.Peer),
			Code: 403, Reason: p.Reason})
	}
}

func (a *audit) refused(r turntcp.AllocationRefusal) {
	if a != nil {
		a.write(record{Msg: "allocation refused", Identity: identify(r.ConnInfo, r.User, a.realm), Code: r.Code,
			Reason: r.Reason, Detail: text(r.Err)})
	}
}

func (a *audit) rejected(r turntcp.AuthRejection) {
	if a != nil {
		a.write(record{Msg: "authentication rejected", Identity: identify(r.ConnInfo, r.User, a.realm), Reason: r.Reason})
	}
}

// killed says that an operator closed a connection, and which.
func (a *audit) killed(id Identity, by string) {
	if a != nil {
		a.write(record{Msg: "killed", Identity: id, Detail: "by " + by})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// liveDue tells whether a multiple of liveEvery since an allocation was created lies within the time
// from last, not included, to now.
func liveDue(created, last, now time.Time) bool {
	return now.Sub(created)/liveEvery > last.Sub(created)/liveEvery
}

// auditLive writes the records that are due. Each allocation has a time of its own, so that they do not
// all come at once.
func (s *service) auditLive(now time.Time) {
	s.server.Each(func(a turntcp.AllocationStats) {
		if liveDue(a.Created, s.lastTick, now) {
			s.logs.audit.live(a)
			s.ledger.roundTrip(a)
		}
	})
	s.lastTick = now
}
