package loadgen

import (
	"math"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// deadlines are those of jitter buffers: what comes later than one of them after the fastest packet of
// its stream is as good as lost.
var deadlines = [...]time.Duration{60 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 200 * time.Millisecond}

const (
	judged    = 1 // index of the deadline that windows are judged by: 100 ms
	stallTime = 200 * time.Millisecond
	// passShare is the late loss that a call's window may have: Microsoft's 1 % in 15 s.
	passShare = 0.01
)

// A span is what is being measured: packets due from begin to end, since the epoch, in windows.
type span struct {
	begin, end, window time.Duration
}

func (s span) holds(due time.Duration) bool { return due >= s.begin && due < s.end }
func (s span) index(due time.Duration) int  { return int((due - s.begin) / s.window) }
func (s span) windows() int                 { return int((s.end - s.begin + s.window - 1) / s.window) }

// A half is one direction of a call. The pacer counts what is due, the receiving end what comes.
type half struct {
	mu      sync.Mutex
	span    span
	streams []streamTally
	windows []windowTally
	trip    bool // what comes has been both ways: half of its delay is counted

	schedule uint64 // sum of the fingerprints of what was due
}

type windowTally struct {
	scheduled, received int64
	late                [len(deadlines)]int64 // of those that came
	delays              time.Duration         // sum
}

type streamTally struct {
	scheduled, sent, received int64
	late                      [len(deadlines)]int64
	fastest                   time.Duration
	jitter                    float64       // RFC 3550 section 6.4.1, nanoseconds
	frames                    int64         // that something came of
	transit                   time.Duration // of the first packet of the last one
	window                    int           // that this was in
	lastDue, lastCame         time.Duration // of the last packet
	frame                     uint32        // of the last packet
	parts                     uint8         // that came of it
	lastWhole                 time.Duration // when the last whole frame had come
	whole                     bool          // there was one
	stalls, freezes           int64
}

// reset begins a new span.
func (h *half) reset(streams int, s span) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.span, h.streams, h.windows, h.schedule = s, make([]streamTally, streams), make([]windowTally, s.windows()), 0
}

// due counts packets that the schedule holds, whether they were sent, and the frame's fingerprint.
func (h *half) due(stream int, at time.Duration, n int64, sent bool, print uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.span.holds(at) {
		return
	}
	h.schedule += print
	h.streams[stream].scheduled += n
	h.windows[h.span.index(at)].scheduled += n
	if sent {
		h.streams[stream].sent += n
	}
}

// came counts a packet; shared gets its delay.
func (h *half) came(p packet, at time.Duration, rate float64, isVideo bool, shared *shard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.span.holds(p.due) || int(p.stream) >= len(h.streams) {
		return
	}
	s, w := &h.streams[p.stream], &h.windows[h.span.index(p.due)]
	delay := at - p.due
	if s.received == 0 || delay < s.fastest {
		s.fastest = delay
	}
	w.received++
	for i, d := range deadlines {
		if delay-s.fastest > d {
			s.late[i]++
			w.late[i]++
		}
	}
	s.measureJitter(p, delay, h.span.index(p.due), shared)
	s.measureStalls(p, at)
	if isVideo {
		s.measureFreezes(p, at, rate)
	}
	s.received++
	// How a packet came beside others (late, jitter, gaps) is of the whole round trip, which hides no
	// way behind the other one.
	if h.trip {
		delay /= 2
	}
	w.delays += delay
	shared.record(int(p.stream), delay)
}

// measureJitter is RFC 3550's by the first packet of each frame: the others have the same timestamp.
func (s *streamTally) measureJitter(p packet, transit time.Duration, window int, shared *shard) {
	if s.frames > 0 && int32(p.frame-s.frame) <= 0 {
		return
	}
	if s.frames > 1 && window != s.window {
		shared.recordJitter(int(p.stream), time.Duration(s.jitter)) // as it was at the window's end
	}
	if s.frames > 0 {
		s.jitter += (math.Abs(float64(transit-s.transit)) - s.jitter) / 16
	}
	s.frames++
	s.transit, s.window, s.frame, s.parts = transit, window, p.frame, 0
}

// measureStalls counts silences that the schedule does not explain: something was due, and came when it
// was old.
func (s *streamTally) measureStalls(p packet, at time.Duration) {
	if silence := at - s.lastCame; s.received > 0 && silence > stallTime && silence-(p.due-s.lastDue) > stallTime {
		s.stalls++
	}
	s.lastDue, s.lastCame = p.due, at
}

// measureFreezes is the rule of WebRTC's freezeCount for the time from one whole frame to the next.
func (s *streamTally) measureFreezes(p packet, at time.Duration, rate float64) {
	if p.frame != s.frame {
		return // of a frame that was given up for a newer one
	}
	if s.parts++; s.parts < p.parts {
		return
	}
	interval := time.Duration(float64(time.Second) / rate)
	if s.whole && at-s.lastWhole >= max(3*interval, interval+150*time.Millisecond) {
		s.freezes++
	}
	s.lastWhole, s.whole = at, true
}

// A shard holds histograms that some of the calls share.
type shard struct {
	mu       sync.Mutex
	delay    []*measure.Latency // by stream
	jitter   []*measure.Latency
	writing  *measure.Latency // from when a write was due to its beginning, where nothing was before it
	received int64
}

func newShard(streams int) *shard {
	s := &shard{writing: measure.NewLatency()}
	for range streams {
		s.delay, s.jitter = append(s.delay, measure.NewLatency()), append(s.jitter, measure.NewLatency())
	}
	return s
}

// clone returns a copy that nobody writes to.
func (s *shard) clone() *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &shard{writing: s.writing.Clone(), received: s.received}
	for i := range s.delay {
		c.delay, c.jitter = append(c.delay, s.delay[i].Clone()), append(c.jitter, s.jitter[i].Clone())
	}
	return c
}

func (s *shard) record(stream int, d time.Duration) {
	s.mu.Lock()
	s.delay[stream].Record(d)
	s.received++
	s.mu.Unlock()
}

func (s *shard) recordJitter(stream int, d time.Duration) {
	s.mu.Lock()
	s.jitter[stream].Record(d)
	s.mu.Unlock()
}

func (s *shard) recordWrite(d time.Duration) {
	s.mu.Lock()
	s.writing.Record(d)
	s.mu.Unlock()
}
