package loadgen

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

const ms = time.Millisecond

// An arrival is one packet as it came; the first of a frame has part 0.
type arrival struct {
	frame       uint32
	part, parts uint8
	due, at     time.Duration
}

// steadily is n frames, due every interval, that each take what delay says. Each is of parts packets that
// come apart after one another.
func steadily(n int, every time.Duration, parts int, apart time.Duration, delay func(i int) time.Duration) (list []arrival) {
	for i := range n {
		due := time.Duration(i) * every
		for part := range parts {
			list = append(list, arrival{uint32(i), uint8(part), uint8(parts), due, due + delay(i) + time.Duration(part)*apart})
		}
	}
	return list
}

func constant(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// fed is what a stream's tally makes of arrivals, by itself: no network, no clock.
func fed(list []arrival, rate float64, isVideo bool, window time.Duration) (*half, *measure.Latency) {
	h, sh := new(half), newShard(1)
	h.reset(1, span{0, time.Hour, window})
	for _, a := range list {
		h.due(0, a.due, 1, true, 0)
		if a.at >= 0 {
			h.came(packet{frame: a.frame, part: a.part, parts: a.parts, due: a.due}, a.at, rate, isVideo, sh)
		}
	}
	return h, sh.jitter[0]
}

// Interarrival jitter has known values: none where all takes equally long, and twice the amplitude where
// the delay goes up and down around a mean (J follows the mean of |D|, RFC 3550 section 6.4.1).
func TestJitterIsKnown(t *testing.T) {
	swing := func(d time.Duration) func(int) time.Duration {
		return func(i int) time.Duration { return 50*ms + d*time.Duration(1-2*(i%2)) }
	}
	step := func(i int) time.Duration {
		if i < 10 {
			return 10 * ms
		}
		return 26 * ms
	}
	for _, c := range []struct {
		name string
		list []arrival
		want time.Duration
	}{
		{"constant", steadily(500, 20*ms, 1, 0, constant(80*ms)), 0},
		{"+-5 ms", steadily(500, 20*ms, 1, 0, swing(5*ms)), 10 * ms},
		{"+-5 ms of video", steadily(500, 33*ms, 5, 2*ms, swing(5*ms)), 10 * ms},
		{"packets of a frame come apart", steadily(500, 33*ms, 5, 3*ms, constant(20*ms)), 0},
		{"a growing queue, 1 ms a frame", steadily(500, 20*ms, 1, 0, func(i int) time.Duration { return time.Duration(i) * ms }), ms},
		{"one step of 16 ms, and 10 frames later", steadily(21, 20*ms, 1, 0, step), time.Duration(float64(ms) * math.Pow(15./16, 10))},
	} {
		h, _ := fed(c.list, 50, true, time.Minute)
		if got := time.Duration(h.streams[0].jitter); (got - c.want).Abs() > c.want/100+time.Microsecond {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The algorithm of RFC 3550 appendix A.8, on random delays.
func TestJitterIsRFC3550(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := steadily(2000, 20*ms, 1, 0, func(int) time.Duration { return time.Duration(rng.ExpFloat64() * float64(10*ms)) })
	var jitter, transit float64
	for i, a := range list {
		d := float64(a.at-a.due) - transit
		transit += d
		if i > 0 {
			jitter += 1. / 16 * (math.Abs(d) - jitter)
		}
	}
	if h, _ := fed(list, 50, false, time.Minute); math.Abs(h.streams[0].jitter-jitter) > 1 {
		t.Errorf("%v, want %v", time.Duration(h.streams[0].jitter), time.Duration(jitter))
	}
}

// Each window has the jitter at its end; one in which a call says nothing, or only begins, has none.
func TestJitterOfWindows(t *testing.T) {
	calm, wild := constant(10*ms), func(i int) time.Duration { return 10*ms + 20*ms*time.Duration(i%2) }
	list := steadily(1500, 20*ms, 1, 0, func(i int) time.Duration { // 10 s calm, 10 s wild, 10 s calm
		if i/500 == 1 {
			return wild(i)
		}
		return calm(i)
	})
	_, all := fed(list, 50, false, 10*time.Second)
	if all.Count() != 2 || all.Milliseconds(0) > 0.01 || math.Abs(all.Milliseconds(1)-20) > 0.1 { // the third is not over
		t.Errorf("jitter of %d windows, %v; want 0 and 20 ms", all.Count(), all.Summary())
	}
	_, late := fed(list[1000:], 50, false, 10*time.Second)
	if late.Count() != 0 {
		t.Errorf("a call that begins in the third window has a jitter in %d before", late.Count())
	}
}

// A gap between whole frames is one freeze from max(3 intervals, interval + 150 ms) on (WebRTC's
// freezeCount); silence that the schedule does not explain is one stall from 200 ms on, whatever comes after.
func TestFreezesAndStalls(t *testing.T) {
	// paused holds up what comes from the frame on for d; then all of it comes at once.
	paused := func(every time.Duration, n, from, parts int, d time.Duration) []arrival {
		until := time.Duration(from)*every + 10*ms + d
		list := steadily(n, every, parts, ms, constant(10*ms))
		for i := range list {
			if list[i].frame >= uint32(from) {
				list[i].at = max(list[i].at, until)
			}
		}
		return list
	}
	lost := func(list []arrival, lost func(arrival) bool) []arrival {
		for i := range list {
			if lost(list[i]) {
				list[i].at = -1
			}
		}
		return list
	}
	const video, screen = 40 * ms, 200 * ms // 25 and 5 frames per second: limits 190 and 600 ms
	for _, c := range []struct {
		name            string
		every           time.Duration
		list            []arrival
		freezes, stalls int64
	}{
		{"nothing", video, steadily(200, video, 3, ms, constant(10*ms)), 0, 0},
		{"a gap just below the limit", video, paused(video, 200, 50, 1, 190*ms-video-1), 0, 0},
		{"a gap of the limit", video, paused(video, 200, 50, 1, 190*ms-video), 1, 0},
		{"a gap of the limit, of whole frames", video, paused(video, 200, 50, 3, 190*ms-video+2*ms), 1, 0},
		{"just below a stall", video, paused(video, 200, 50, 1, 200*ms), 1, 0},
		{"a stall", video, paused(video, 200, 50, 1, 200*ms+1), 1, 1},
		{"a second", video, paused(video, 200, 50, 3, time.Second), 1, 1},
		{"twice", video, append(paused(video, 100, 50, 1, 500*ms), after(paused(video, 100, 50, 1, 500*ms), 100, 4*time.Second)...), 2, 2},
		{"screen, just below", screen, paused(screen, 50, 20, 2, 600*ms-screen), 0, 1},
		{"screen", screen, paused(screen, 50, 20, 2, 600*ms-screen+ms), 1, 1},
		{"delay that grows slowly", video, steadily(200, video, 1, 0, func(i int) time.Duration { return time.Duration(i) * 10 * ms }), 0, 0},
		{"lost packets are no stall", video, lost(steadily(200, video, 1, 0, constant(10*ms)), func(a arrival) bool { return a.frame >= 50 && a.frame < 60 }), 1, 0},
		{"frames without one packet", video, lost(steadily(200, video, 3, ms, constant(10*ms)), func(a arrival) bool { return a.frame >= 50 && a.frame < 60 && a.part == 1 }), 1, 0},
	} {
		h, _ := fed(c.list, float64(time.Second)/float64(c.every), true, time.Minute)
		if s := h.streams[0]; s.freezes != c.freezes || s.stalls != c.stalls {
			t.Errorf("%s: %d freezes, %d stalls; want %d, %d", c.name, s.freezes, s.stalls, c.freezes, c.stalls)
		}
		if h, _ := fed(c.list, 25, false, time.Minute); h.streams[0].freezes != 0 {
			t.Errorf("%s: audio froze", c.name)
		}
	}
}

// after moves arrivals to a later frame and time.
func after(list []arrival, frame uint32, d time.Duration) []arrival {
	for i := range list {
		list[i].frame, list[i].due, list[i].at = list[i].frame+frame, list[i].due+d, list[i].at+d
	}
	return list
}

// Late loss counts from the fastest packet on, and what never came is late for every deadline.
func TestLateIsKnown(t *testing.T) {
	delays := []time.Duration{40 * ms, 100 * ms, 101 * ms, 140 * ms, 141 * ms, 190 * ms, 191 * ms, 240 * ms, 241 * ms, -1}
	h, _ := fed(steadily(len(delays), 20*ms, 1, 0, func(i int) time.Duration {
		if delays[i] < 0 {
			return -time.Hour
		}
		return delays[i]
	}), 50, false, time.Minute)
	late := mergeLate(nil, h.streams[0])
	shares(late, h.streams[0].scheduled)
	for i, want := range []float64{0.8, 0.6, 0.4, 0.2} {
		if math.Abs(late[i].Share-want) > 1e-9 {
			t.Errorf("later than %d ms: %v, want %v", late[i].Milliseconds, late[i].Share, want)
		}
	}
}
