package turntcp

import (
	"sync/atomic"
	"time"
)

// maxQueued in bytes of data wait for one client. At 200 ms that is 40 Mbit/s.
const maxQueued = 1 << 20

// A queue is the data that waits for a client that reads slowly. Media wants the newest: what has
// waited for too long is dropped, whole bursts at a time, from the oldest on.
type queue struct {
	maxAge time.Duration
	data   []byte
	start  int // of what is queued in data
	bursts []queued
	first  int // of bursts
}

// queued is a burst whose frames are in the queue's data.
type queued struct {
	burst
	at time.Time
}

func (q *queue) empty() bool { return q.first == len(q.bursts) }

// add copies the frames.
func (q *queue) add(b burst, now time.Time) {
	q.expire(now)
	for !q.empty() && len(q.data)-q.start+len(b.frames) > maxQueued {
		q.drop(&q.bursts[q.first].counts.queueFull)
	}
	q.tidy()
	at := len(q.data)
	q.data = append(q.data, b.frames...)
	b.frames = nil
	q.bursts = append(q.bursts, queued{b, now})
	q.bursts[len(q.bursts)-1].size = len(q.data) - at
}

// slowSegment in bytes of what has been queued is written at once: that client is slow, so the rest had
// better wait where it can still be dropped.
const slowSegment = 4 << 10

// take appends what fits into a segment to dst, at least one burst if there is any and dst is empty.
func (q *queue) take(dst []byte, now time.Time) []byte {
	q.expire(now)
	for !q.empty() {
		b := &q.bursts[q.first]
		if len(dst) > 0 && len(dst)+b.size > slowSegment {
			break
		}
		dst = append(dst, q.data[q.start:q.start+b.size]...)
		b.sent()
		q.remove()
	}
	return dst
}

func (q *queue) expire(now time.Time) {
	for !q.empty() && now.Sub(q.bursts[q.first].at) > q.maxAge {
		q.drop(&q.bursts[q.first].counts.tooOld)
	}
}

func (q *queue) drop(reason *atomic.Uint64) {
	reason.Add(uint64(q.bursts[q.first].packets))
	q.remove()
}

func (q *queue) remove() {
	q.start += q.bursts[q.first].size
	q.bursts[q.first] = queued{}
	q.first++
	if q.empty() {
		q.tidy()
	}
}

// tidy makes room at the front once half of it is free, and returns much memory when it is not in use.
func (q *queue) tidy() {
	if 2*q.start >= len(q.data) {
		q.data = q.data[:copy(q.data, q.data[q.start:])]
		q.start = 0
	}
	if 2*q.first >= len(q.bursts) {
		q.bursts = q.bursts[:copy(q.bursts, q.bursts[q.first:])]
		q.first = 0
	}
	if q.empty() && cap(q.data) > 4*maxSegment {
		q.data, q.bursts = nil, nil
	}
}
