package conformance

import "time"

// A Report is the result of a run. Its JSON is versioned by Format: fields are added, never changed.
type Report struct {
	Format      int       `json:"format"`  // 1
	Verdict     Verdict   `json:"verdict"` //
	Address     string    `json:"address"` // of the server
	TLS         bool      `json:"tls"`
	Peer        string    `json:"peer"` // where the peers of the tests were: an address, or "a second allocation"
	Interrupted bool      `json:"interrupted,omitempty"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Results     []Result  `json:"results"`
}

// A Verdict is that over the whole run.
type Verdict string

// The verdicts.
const (
	Conforms   Verdict = "conforms"  // no MUST failed
	Violates   Verdict = "violates"  // some MUST failed
	NotDecided Verdict = "undecided" // interrupted, or nothing could be judged
)

// Count returns how many results have the outcome.
func (r *Report) Count(o Outcome) (n int) {
	for _, res := range r.Results {
		if res.Outcome == o {
			n++
		}
	}
	return n
}

// Violations returns the results of what an RFC demands and the server does not.
func (r *Report) Violations() (list []Result) {
	for _, res := range r.Results {
		if res.Outcome == Fail && res.Level == Must {
			list = append(list, res)
		}
	}
	return list
}

func (r *Report) judge() Verdict {
	switch {
	case len(r.Violations()) > 0:
		return Violates
	case r.Interrupted, r.Count(Pass) == 0:
		return NotDecided
	}
	return Conforms
}
