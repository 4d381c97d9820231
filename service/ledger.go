package service

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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

// A ledger adds up allocations that have ended and those that live, so that the sum never falls, and
// counts what is told of.
type ledger struct {
	mu    sync.Mutex
	ended totals
	gone  map[allocationKey]time.Time // that ended lately: the server may still show them

	closed       tally // connections
	deleted      tally // allocations
	refused      tally // allocations
	peersRefused tally
	rejected     tally // credentials
	roundTrips   prometheus.Histogram
}

type allocationKey struct {
	connection uint64
	created    time.Time
}

func keyOf(a turntcp.AllocationStats) allocationKey { return allocationKey{a.Connection, a.Created} }

func newLedger() *ledger {
	return &ledger{gone: make(map[allocationKey]time.Time), roundTrips: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "turngate_client_rtt_seconds",
		Help:    "Round trips of clients' connections (TCP_INFO), of each allocation every five minutes and at its end.",
		Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .15, .2, .3, .5, 1, 2},
	})}
}

// forgetAfter is much longer than a server shows an allocation that has ended.
const forgetAfter = 10 * time.Second

// end books an allocation.
func (l *ledger) end(a turntcp.AllocationStats) {
	l.deleted.add(string(a.Reason))
	l.roundTrip(a)
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

// roundTrip books how far away the client is, where the system tells.
func (l *ledger) roundTrip(a turntcp.AllocationStats) {
	if a.TCPInfo.RTT > 0 {
		l.roundTrips.Observe(a.TCPInfo.RTT.Seconds())
	}
}

// sum adds up everything; each is the server's Each.
func (l *ledger) sum(each func(func(turntcp.AllocationStats))) totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.ended
	each(func(a turntcp.AllocationStats) {
		if _, ended := l.gone[keyOf(a)]; !ended {
			t.add(a)
		}
	})
	return t
}

// A tally counts by reason.
type tally struct {
	mu     sync.Mutex
	counts map[string]uint64
}

// maxReasons bounds the reasons that are told apart; there are fewer than twenty of each kind.
const maxReasons = 50

func (t *tally) add(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]uint64)
	}
	if _, known := t.counts[reason]; known || len(t.counts) < maxReasons {
		t.counts[reason]++
	}
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
