package loadgen

import (
	"math"
	"time"
)

// A schedule is what one stream of one call sends in a step, and when after the step's beginning. It
// depends on the run's seed, the number of the call, the stream and the frame, and on nothing else:
// any division of the calls among generators yields the same packets at the same times.
type schedule struct {
	stream   Stream
	key      uint64        // of this stream's random numbers
	phase    time.Duration // of the first frame
	keyPhase uint32        // of the key frames
	interval float64       // nanoseconds
	plain    float64       // bytes of an average frame that is no key frame
}

// newSchedule spreads frames over the interval and key frames over their period, since calls do not
// begin together.
func newSchedule(s Stream, seed uint64, call, index int) schedule {
	sc := schedule{stream: s, key: mix(mix(mix(seed)+uint64(call)) + uint64(index)), interval: float64(time.Second) / s.Rate, plain: s.meanFrame()}
	sc.phase = time.Duration(unit(mix(sc.key+1)) * sc.interval)
	if s.KeyEvery > 0 {
		n := float64(s.KeyEvery)
		sc.plain = s.meanFrame() * n / (n - 1 + s.KeyTimes)
		sc.keyPhase = uint32(mix(sc.key+2) % uint64(s.KeyEvery))
	}
	return sc
}

// due is when a frame is due after the step's beginning.
func (s *schedule) due(frame uint32) time.Duration {
	return s.phase + time.Duration(float64(frame)*s.interval)
}

// from is the first frame that is not due before t.
func (s *schedule) from(t time.Duration) uint32 {
	if t <= s.phase {
		return 0
	}
	n := uint32(math.Ceil(float64(t-s.phase) / s.interval))
	if n > 0 && s.due(n-1) >= t { // the rounding of due
		n--
	}
	return n
}

// size is that of a frame in bytes.
func (s *schedule) size(frame uint32) int {
	bytes := s.plain
	if s.stream.KeyEvery > 0 && (frame+s.keyPhase)%uint32(s.stream.KeyEvery) == 0 {
		bytes *= s.stream.KeyTimes
	}
	if s.stream.Spread > 0 {
		bytes *= 1 + s.stream.Spread*(2*unit(mix(s.key+3+uint64(frame)))-1)
	}
	return max(headerSize, int(bytes))
}

// print is the fingerprint of a frame: the sum of those of all frames says whether two generators, or
// two divisions of the calls among generators, have offered the same.
func (s *schedule) print(frame uint32, size int, due time.Duration) uint64 {
	return mix(mix(mix(s.key+uint64(frame))+uint64(size)) + uint64(due))
}

// Hash is the sum of the fingerprints of all frames that are due in a step of the duration, if the
// calls from first to last-1 are there from its beginning to its end. It is what Run then says; that
// of all calls is the sum of those of any parts.
func Hash(p Profile, seed uint64, first, last int, d time.Duration) (sum uint64) {
	for call := first; call < last; call++ {
		for i, stream := range p.Streams {
			s := newSchedule(stream, seed, call, i)
			for n := uint32(0); s.due(n) < d; n++ {
				sum += s.print(n, s.size(n), s.due(n))
			}
		}
	}
	return sum
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): random access to random numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit maps to [0, 1).
func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }
