package loadgen

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// A schedule is what one stream of one call sends, and when. It depends on the run's seed, the number
// of the call and the stream, and on nothing else: any division of the calls among generators yields
// the same packets at the same times.
type schedule struct {
	stream Stream
	rng    *rand.Rand
	phase  time.Duration // of the first frame after the call's beginning
	plain  float64       // bytes of an average frame that is no key frame
	next   uint32        // number of the next frame
}

func newSchedule(s Stream, seed uint64, call, index int) *schedule {
	h := fnv.New64a()
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], seed)
	binary.BigEndian.PutUint64(b[8:], uint64(call))
	binary.BigEndian.PutUint64(b[16:], uint64(index))
	h.Write(b[:])
	sc := &schedule{stream: s, rng: rand.New(rand.NewPCG(h.Sum64(), seed)), plain: s.meanFrame()}
	if s.KeyEvery > 0 {
		n := float64(s.KeyEvery)
		sc.plain = s.meanFrame() * n / (n - 1 + s.KeyTimes)
	}
	// Calls do not begin together, so their frames are spread over the interval, and key frames over
	// their period.
	sc.phase = time.Duration(sc.rng.Float64() * float64(time.Second) / s.Rate)
	if s.KeyEvery > 0 {
		sc.next = uint32(sc.rng.IntN(s.KeyEvery))
	}
	return sc
}

// frame returns the number, size in bytes and due time of the next frame; due counts from the call's
// beginning. first is the number that the schedule began with.
func (s *schedule) frame(first uint32) (number uint32, size int, due time.Duration) {
	number = s.next
	s.next++
	bytes := s.plain
	if s.stream.KeyEvery > 0 && int(number)%s.stream.KeyEvery == 0 {
		bytes *= s.stream.KeyTimes
	}
	if s.stream.Spread > 0 {
		bytes *= 1 + s.stream.Spread*(2*s.rng.Float64()-1)
	}
	interval := float64(time.Second) / s.stream.Rate
	due = s.phase + time.Duration(float64(number-first)*interval)
	return number, max(headerSize, int(bytes)), due
}

// Hash sums up what is due when in a part of a run: the calls from first to last-1 for the duration.
// The hash of all calls is the XOR of those of any parts.
func Hash(p Profile, seed uint64, first, last int, d time.Duration) uint64 {
	var all uint64
	for call := first; call < last; call++ {
		h := fnv.New64a()
		var b [24]byte
		for i, stream := range p.Streams {
			s := newSchedule(stream, seed, call, i)
			from := s.next
			for {
				number, size, due := s.frame(from)
				if due >= d {
					break
				}
				binary.BigEndian.PutUint32(b[:], uint32(i))
				binary.BigEndian.PutUint32(b[4:], number)
				binary.BigEndian.PutUint64(b[8:], uint64(size))
				binary.BigEndian.PutUint64(b[16:], uint64(due))
				h.Write(b[:])
			}
		}
		binary.BigEndian.PutUint64(b[:], uint64(call))
		h.Write(b[:8])
		all ^= h.Sum64()
	}
	return all
}
