package sizing

import (
	"cmp"
	"fmt"

	"github.com/turngate/turngate/harness/measure"
)

// A SearchConfig says how a Search goes about it. The zero value of each field has a default.
type SearchConfig struct {
	Unit           string  // what is searched, for words: default "calls"
	First          int     // to try first. Default 8
	Most           int     // to try at all. Default 100,000
	StepSeconds    float64 // of a step of the search. Default 10
	ConfirmSeconds float64 // of a step that confirms. Default three times that
	Seconds        float64 // of all steps together. Default an hour
	Steps          int     // at most. Default 60
	Precision      float64 // the search ends when what passes and what does not are that close. Default 0.05
	Quick          bool    // two confirming steps that agree are enough, and what failed once has failed
	Unconfirmed    bool    // the search's own steps are enough
}

func (c *SearchConfig) setDefaults() {
	c.Unit = cmp.Or(c.Unit, "calls")
	c.First = cmp.Or(c.First, 8)
	c.Most = cmp.Or(c.Most, 100_000)
	c.First = min(c.First, c.Most)
	c.StepSeconds = cmp.Or(c.StepSeconds, 10)
	c.ConfirmSeconds = cmp.Or(c.ConfirmSeconds, 3*c.StepSeconds)
	c.Seconds = cmp.Or(c.Seconds, 3600)
	c.Steps = cmp.Or(c.Steps, 60)
	c.Precision = cmp.Or(c.Precision, 0.05)
}

// A StepRequest asks for a step to be measured.
type StepRequest struct {
	Calls   int
	Kind    string // "search" or "confirm", as in measure.Step
	Seconds float64
}

// Confirming steps: so many at most, of which so many must pass.
const (
	repeats = 3
	quorum  = 2
)

// A ballot counts the confirming steps of one number. Void ones have no vote, but many of them end it.
type ballot struct{ passes, fails, voids int }

func (b *ballot) passed() bool { return b.passes >= quorum }
func (b *ballot) failed() bool { return b.fails >= quorum || b.voids >= repeats }
func (b *ballot) votes() int   { return b.passes + b.fails }

// A Search looks for the largest number of calls that passes: it doubles until a number has not
// passed, bisects, and confirms the result with longer steps of which two of three must pass. What
// the confirmation refuses, it goes back from. A step that is void has not passed, but says nothing
// against the proxy: where that is what ended the search, the result is a lower bound.
type Search struct {
	cfg     SearchConfig
	passes  map[int]int // search steps by number of calls
	fails   map[int]int // those that did not pass, the void ones among them
	voids   map[int]int
	confirm map[int]*ballot
	hint    int // see Hint; 0 is none
	seconds float64
	steps   int
	cut     bool // it would have gone on
}

// Hint names a number that is likely to be the largest that passes, as the number of tunnels that did
// open where more were wanted. It is tried before others, and so is the next one that counts as larger.
// If it passes and no larger one does, what is above it needs to fail only once.
func (s *Search) Hint(n int) { s.hint = n }

// NewSearch begins a search.
func NewSearch(cfg SearchConfig) *Search {
	cfg.setDefaults()
	return &Search{cfg: cfg, passes: make(map[int]int), fails: make(map[int]int), voids: make(map[int]int), confirm: make(map[int]*ballot)}
}

// Next says what to measure; false: the search is over.
func (s *Search) Next() (StepRequest, bool) {
	req, more := s.decide()
	if more && (s.steps >= s.cfg.Steps || s.seconds+req.Seconds > s.cfg.Seconds) {
		s.cut = true
		return StepRequest{}, false
	}
	return req, more
}

// Report says how a step that was asked for ended; seconds is what it took with all that belongs to
// it, at least the step's own.
func (s *Search) Report(req StepRequest, v measure.Verdict, seconds float64) {
	s.steps++
	s.seconds += max(seconds, req.Seconds)
	if req.Kind == "confirm" {
		s.vote(req.Calls, v)
		return
	}
	switch v {
	case measure.Pass:
		s.passes[req.Calls]++
		return
	case measure.Void:
		s.voids[req.Calls]++
	}
	s.fails[req.Calls]++
}

func (s *Search) vote(calls int, v measure.Verdict) {
	b := s.confirm[calls]
	if b == nil {
		b = new(ballot)
		s.confirm[calls] = b
	}
	switch v {
	case measure.Pass:
		b.passes++
		return
	case measure.Void:
		b.voids++
		return
	}
	b.fails++
}

// Found is what a search came to.
type Found struct {
	Calls      int  // the largest number that passed; 0: none
	Passes, Of int  // the steps that confirm it; 0 of 0: the time was over before
	AtLeast    bool // the search ended before the proxy did
	Limit      int  // the smallest number above Calls that did not pass; 0: there is none
	Fails      int  // the smallest one above Calls that failed, and was not just void; 0: there is none
	Why        string
}

// Confirmed is "2 of 3".
func (f Found) Confirmed() string { return fmt.Sprintf("%d of %d", f.Passes, f.Of) }

// Result is what has been found so far.
func (s *Search) Result() Found {
	var f Found
	for n, b := range s.confirm {
		if b.passed() && n > f.Calls && (s.refuted() == 0 || n < s.refuted()) {
			f.Calls = n
		}
	}
	if f.Calls == 0 {
		f.Calls = s.unrefuted()
	}
	if b := s.confirm[f.Calls]; b != nil {
		f.Passes, f.Of = b.passes, b.votes()
	}
	f.Limit, f.Fails = s.above(f.Calls, false), s.above(f.Calls, true)
	switch {
	case f.Limit > 0 && s.onlyVoid(f.Limit):
		f.AtLeast, f.Why = true, fmt.Sprintf("%d %s could not be judged", f.Limit, s.cfg.Unit)
		if f.Fails > 0 {
			f.Why += fmt.Sprintf(", %d did not pass", f.Fails)
		}
	case f.Limit > 0:
		f.Why = fmt.Sprintf("%d %s did not pass", f.Limit, s.cfg.Unit)
	case f.Calls >= s.cfg.Most:
		f.AtLeast, f.Why = true, fmt.Sprintf("more than %d %s were not to be tried", s.cfg.Most, s.cfg.Unit)
	default:
		f.AtLeast, f.Why = true, "the search was over before anything failed"
	}
	if s.cut {
		f.Why += "; there was no time to look closer"
	}
	return f
}

// onlyVoid tells that nothing but the generator speaks against a number.
func (s *Search) onlyVoid(n int) bool {
	fails, voids := s.fails[n], s.voids[n]
	if b := s.confirm[n]; b != nil {
		fails, voids = fails+b.fails+b.voids, voids+b.voids
	}
	return voids == fails
}
