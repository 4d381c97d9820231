package sizing

import (
	"cmp"
	"math"
)

// decide says what to measure, from nothing but what has been measured.
func (s *Search) decide() (StepRequest, bool) {
	if s.refuted() > 0 {
		return s.retreat()
	}
	low, high := s.low(), s.high()
	if n := s.probe(low, high); n > 0 && s.leavesTime(low) {
		return StepRequest{n, "search", s.cfg.StepSeconds}, true
	}
	if low == 0 || s.cfg.Unconfirmed {
		return StepRequest{}, false
	}
	return s.vouch(low)
}

// probe is the number of calls to try next in the search; 0: it is over.
func (s *Search) probe(low, high int) int {
	switch {
	case high == 0: // the rise
		for n := range s.fails {
			if n > low { // failed once; it decides whether the rise is over
				return cmp.Or(s.aim(low, n), n)
			}
		}
		if low == 0 {
			return smaller(s.hint, s.cfg.First)
		}
		if low < s.cfg.Most {
			return smaller(s.aim(low, high), min(2*low, s.cfg.Most))
		}
		return 0
	case high-low > s.gap(low):
		return cmp.Or(s.aim(low, high), low+(high-low)/2)
	case s.fails[high] == 1 && !s.cfg.Quick:
		return high
	}
	return 0
}

// aim is the number between low and high (0: none) that the hint leads to, 0 if it leads to none.
func (s *Search) aim(low, high int) int {
	for _, n := range []int{s.hint, s.hint + s.gap(s.hint)} {
		if s.hint > 0 && n > low && (high == 0 || n < high) {
			return n
		}
	}
	return 0
}

// gap is how far apart low and high may stay.
func (s *Search) gap(low int) int {
	return max(1, int(s.cfg.Precision*float64(low)))
}

// low is the largest number that passed a search step.
func (s *Search) low() (low int) {
	for n := range s.passes {
		low = max(low, n)
	}
	return low
}

// high is the smallest number above low that has failed, 0 if none has. During the rise, when there is
// no larger one that has failed twice, it takes two failures, or a hint that holds.
func (s *Search) high() int {
	low, once, twice := s.low(), 0, 0
	for n, count := range s.fails {
		if n <= low {
			continue
		}
		once = smaller(once, n)
		if count > 1 {
			twice = smaller(twice, n)
		}
	}
	if twice == 0 && !(s.hint > 0 && low >= s.hint && low < s.hint+s.gap(s.hint)) {
		return 0
	}
	return once
}

// smaller of two, of which 0 is none.
func smaller(a, b int) int {
	if a == 0 || b < a {
		return b
	}
	return a
}

// leavesTime keeps enough for confirming what has passed; before anything has, there is nothing to
// keep it for.
func (s *Search) leavesTime(low int) bool {
	if low == 0 || s.cfg.Unconfirmed {
		return true
	}
	left, steps := s.cfg.Seconds-s.seconds, s.cfg.Steps-s.steps
	return left >= s.cfg.StepSeconds+quorum*s.cfg.ConfirmSeconds && steps > quorum
}

// vouch confirms a number; false: that is done.
func (s *Search) vouch(n int) (StepRequest, bool) {
	b := s.confirm[n]
	switch {
	case b == nil:
	case b.failed(), b.votes() == repeats, s.cfg.Quick && b.passed():
		return StepRequest{}, false
	}
	return StepRequest{n, "confirm", s.cfg.ConfirmSeconds}, true
}

// refuted is the smallest number that the confirmation has refused, 0 if there is none.
func (s *Search) refuted() (least int) {
	for n, b := range s.confirm {
		if b.failed() {
			least = smaller(least, n)
		}
	}
	return least
}

// retreat goes on with confirming steps below what was refused: longer steps find what shorter ones
// do not. It goes down in strides that double, then closes in.
func (s *Search) retreat() (StepRequest, bool) {
	bad, good, top, count := s.refuted(), 0, 0, 0
	for n, b := range s.confirm {
		top = max(top, n)
		if b.failed() {
			count++
		} else if n < bad {
			good = max(good, n) // passed, or being voted on
		}
	}
	if req, more := s.vouch(good); good > 0 && more {
		return req, true
	}
	next := bad - (bad-good)/2
	if good > 0 && bad-good <= s.gap(good) {
		return StepRequest{}, false
	}
	if good == 0 {
		stride := max(1, int(math.Ceil(s.cfg.Precision*float64(top))))
		next = bad - stride<<min(count-1, 20)
		if next < 1 && bad > 1 {
			next = bad / 2
		}
	}
	if next < 1 {
		return StepRequest{}, false
	}
	return s.vouch(next)
}

// unrefuted is the largest number that passed a search step and was not refused afterwards.
func (s *Search) unrefuted() (n int) {
	bad := s.refuted()
	for calls := range s.passes {
		if bad == 0 || calls < bad {
			n = max(n, calls)
		}
	}
	return n
}

// above is the smallest number above n that did not pass, or that truly failed; 0 if there is none.
func (s *Search) above(n int, truly bool) (least int) {
	for calls := range s.fails {
		if calls > n && !(truly && s.onlyVoid(calls)) {
			least = smaller(least, calls)
		}
	}
	for calls, b := range s.confirm {
		if calls > n && b.failed() && !(truly && s.onlyVoid(calls)) {
			least = smaller(least, calls)
		}
	}
	return least
}
