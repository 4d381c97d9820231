package sizing

import (
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/measure"
)

// A simulated proxy says how a step ends, by the number of calls and how often it was asked before.
type simulated func(calls, times int, kind string) measure.Verdict

// carries so many calls, each time.
func carries(capacity int) simulated {
	return func(calls, _ int, _ string) measure.Verdict { return passIf(calls <= capacity) }
}

func passIf(ok bool) measure.Verdict {
	if ok {
		return measure.Pass
	}
	return measure.Fail
}

func search(cfg SearchConfig, proxy simulated) (Found, []StepRequest) {
	return runSearch(NewSearch(cfg), proxy)
}

func runSearch(s *Search, proxy simulated) (Found, []StepRequest) {
	times := make(map[int]int)
	var asked []StepRequest
	for req, more := s.Next(); more; req, more = s.Next() {
		if asked = append(asked, req); len(asked) > 1000 {
			panic("the search does not end")
		}
		s.Report(req, proxy(req.Calls, times[req.Calls], req.Kind), req.Seconds+1)
		times[req.Calls]++
	}
	return s.Result(), asked
}

func TestSearch(t *testing.T) {
	quick := SearchConfig{Quick: true, StepSeconds: 3, ConfirmSeconds: 5, Seconds: 42}
	for _, c := range []struct {
		name    string
		cfg     SearchConfig
		proxy   simulated
		low     int // the result is from low to high
		high    int
		atLeast bool
		why     string
		steps   int // at most
	}{
		{"exact", SearchConfig{Precision: 0.001}, carries(53), 53, 53, false, "54 calls did not pass", 20},
		{"within the precision", SearchConfig{}, carries(1000), 950, 1000, false, "did not pass", 25},
		{"one call", SearchConfig{}, carries(1), 1, 1, false, "2 calls did not pass", 14},
		{"nothing", SearchConfig{}, carries(0), 0, 0, false, "1 calls did not pass", 12},
		{"below the first", SearchConfig{}, carries(5), 5, 5, false, "6 calls", 16},
		{"no more than asked", SearchConfig{Most: 100}, carries(1000), 100, 100, true, "more than 100 calls were not to be tried", 10},
		{"quick", quick, carries(53), 48, 53, false, "did not pass", 10},
		{"quick, out of time", quick, carries(1000), 512, 1000, false, "no time", 12},
		{"logins", SearchConfig{Unit: "tunnels per second", Unconfirmed: true, Quick: true, Precision: 0.1}, carries(20), 18, 20, false, "tunnels per second", 10},
		{"one bad step in the rise does not end it", SearchConfig{}, func(calls, times int, _ string) measure.Verdict {
			return passIf(calls <= 100 && (calls != 32 || times > 0))
		}, 95, 100, false, "", 25},
		{"longer steps find less", SearchConfig{}, func(calls, _ int, kind string) measure.Verdict {
			return passIf(calls <= 80 || calls <= 100 && kind == "search")
		}, 70, 80, false, "", 40},
		{"the generator is weaker", SearchConfig{}, func(calls, _ int, _ string) measure.Verdict {
			if calls > 60 {
				return measure.Void
			}
			return measure.Pass
		}, 57, 60, true, "could not be judged", 20},
		{"the generator is weaker, but the proxy was seen to fail", SearchConfig{}, func(calls, _ int, _ string) measure.Verdict {
			if calls > 64 && calls < 100 {
				return measure.Void
			}
			return passIf(calls <= 64)
		}, 62, 64, true, "could not be judged, 128 did not pass", 20},
		{"a void step is tried again", SearchConfig{}, func(calls, times int, _ string) measure.Verdict {
			if times == 0 && calls < 100 {
				return measure.Void
			}
			return passIf(calls <= 100)
		}, 95, 100, false, "", 50},
		{"void and failed is failed", SearchConfig{}, func(calls, times int, _ string) measure.Verdict {
			if calls > 64 && times == 0 {
				return measure.Void
			}
			return passIf(calls <= 64)
		}, 62, 64, false, "did not pass", 25},
		{"void confirmations have no vote", SearchConfig{Precision: 0.001}, func(calls, times int, kind string) measure.Verdict {
			if kind == "confirm" && times < 3 { // two of them, after the search's own step
				return measure.Void
			}
			return passIf(calls <= 53)
		}, 53, 53, false, "54 calls did not pass", 22},
		{"void from the first call on", SearchConfig{}, func(int, int, string) measure.Verdict { return measure.Void }, 0, 0, true, "1 calls could not be judged", 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, asked := search(c.cfg, c.proxy)
			if f.Calls < c.low || f.Calls > c.high || f.AtLeast != c.atLeast || !strings.Contains(f.Why, c.why) {
				t.Errorf("found %+v; want %d to %d, at least %v, %q", f, c.low, c.high, c.atLeast, c.why)
			}
			if len(asked) > c.steps {
				t.Errorf("%d steps, want at most %d: %v", len(asked), c.steps, asked)
			}
			if f.Calls > 0 && !c.cfg.Quick && f.Passes < quorum {
				t.Errorf("confirmed %s", f.Confirmed())
			}
		})
	}
}

// A good hint makes a search short, and a bad one costs a few steps.
func TestHint(t *testing.T) {
	for _, c := range []struct {
		name           string
		hint, capacity int
		low, high      int // of the result
		steps          int // at most
	}{
		{"right", 92, 92, 92, 92, 10},
		{"too low", 92, 500, 475, 500, 20},
		{"too high", 92, 30, 29, 30, 20},
		{"one too many", 92, 91, 88, 91, 15},
		{"below the first", 3, 3, 3, 3, 10},
	} {
		s := NewSearch(SearchConfig{})
		s.Hint(c.hint)
		f, asked := runSearch(s, carries(c.capacity))
		if f.Calls < c.low || f.Calls > c.high || f.AtLeast || f.Passes < quorum || len(asked) > c.steps {
			t.Errorf("%s: found %+v by %d steps %v; want %d to %d by %d at most", c.name, f, len(asked), asked, c.low, c.high, c.steps)
		}
	}
}

// Every capacity is found within the precision, and the budget of time is kept.
func TestSearchAll(t *testing.T) {
	for capacity := 1; capacity <= 3000; capacity += 1 + capacity/17 {
		f, _ := search(SearchConfig{}, carries(capacity))
		if f.Calls > capacity || float64(f.Calls) < float64(capacity)/1.06-1 || f.AtLeast {
			t.Errorf("capacity %d: found %+v", capacity, f)
		}
		cfg := SearchConfig{Quick: true, StepSeconds: 3, ConfirmSeconds: 5, Seconds: 60}
		_, asked := search(cfg, carries(capacity))
		seconds := 0.0
		for _, r := range asked {
			seconds += r.Seconds + 1
		}
		if seconds > cfg.Seconds+1 {
			t.Errorf("capacity %d: %v seconds of steps, want at most %v", capacity, seconds, cfg.Seconds)
		}
	}
}
