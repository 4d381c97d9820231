package service

import (
	"sync"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// totals are what all allocations there ever were have relayed.
type totals struct {
	allocations uint64
	up, down    turntcp.Traffic
	drops       turntcp.Drops
}

func (t *totals) add(a turntcp.AllocationStats) {
	t.allocations++
	t.up.Packets, t.up.Bytes = t.up.Packets+a.Up.Packets, t.up.Bytes+a.Up.Bytes
	t.down.Packets, t.down.Bytes = t.down.Packets+a.Down.Packets, t.down.Bytes+a.Down.Bytes
	d, o := &t.drops, a.Drops
	d.NoPermission += o.NoPermission
	d.NoChannel += o.NoChannel
	d.Forbidden += o.Forbidden
	d.Malformed += o.Malformed
	d.Unsent += o.Unsent
	d.TooOld += o.TooOld
	d.QueueFull += o.QueueFull
	d.TooFast += o.TooFast
}

// A ledger adds up allocations that have ended and those that live, so that the sum never falls.
type ledger struct {
	mu      sync.Mutex
	ended   totals
	gone    map[allocationKey]time.Time // that ended lately: the server may still show them
	refused map[string]uint64           // peers, by reason
}

type allocationKey struct {
	connection uint64
	created    time.Time
}

func keyOf(a turntcp.AllocationStats) allocationKey { return allocationKey{a.Connection, a.Created} }

func newLedger() *ledger {
	return &ledger{gone: make(map[allocationKey]time.Time), refused: make(map[string]uint64)}
}

// forgetAfter is much longer than a server shows an allocation that has ended.
const forgetAfter = 10 * time.Second

// end books an allocation.
func (l *ledger) end(a turntcp.AllocationStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.ended.add(a)
	l.gone[keyOf(a)] = now
	for k, at := range l.gone {
		if now.Sub(at) > forgetAfter {
			delete(l.gone, k)
		}
	}
}

// maxReasons bounds the reasons that are told apart; there are about ten.
const maxReasons = 50

// refuse counts a peer that was refused.
func (l *ledger) refuse(r turntcp.PeerRefusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.refused[r.Reason]; known || len(l.refused) < maxReasons {
		l.refused[r.Reason]++
	}
}

// sum adds up everything; each is the server's Each.
func (l *ledger) sum(each func(func(turntcp.AllocationStats))) (totals, map[string]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.ended
	each(func(a turntcp.AllocationStats) {
		if _, ended := l.gone[keyOf(a)]; !ended {
			t.add(a)
		}
	})
	refused := make(map[string]uint64)
	for k, v := range l.refused {
		refused[k] = v
	}
	return t, refused
}
