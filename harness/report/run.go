// Package report renders the results of a run: a table for people, JSON, JUnit and Markdown for
// machines. It is pure: results in, bytes out.
package report

import (
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// An Outcome is what became of a cell.
type Outcome string

// The outcomes of a cell; Pass and Fail are judgements of the thing tested, Void says that none could
// be made.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
	Void Outcome = "void"
)

// A Run is the result of a matrix. Its JSON is versioned by Format: fields are added, never changed.
type Run struct {
	Format    int       `json:"format"` // 1
	Verdict   Outcome   `json:"verdict"`
	Reason    string    `json:"reason,omitempty"`  // why it is void, or incomplete
	Partial   bool      `json:"partial,omitempty"` // the run was interrupted; the cells that ended are here
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`
	Lab       string    `json:"lab"`
	Condition Condition `json:"conditions"`
	Cells     []Cell    `json:"cells"`
}

// Condition is what every figure of the run depends on.
type Condition struct {
	Version  string  `json:"version"`
	Go       string  `json:"go"`
	OS       string  `json:"os"`
	CPUs     int     `json:"cpus"`
	Load     float64 `json:"load_average"` // of the host over the minute before the run; 0: not known
	Duration string  `json:"duration"`     // measuring time per cell
	Note     string  `json:"note"`
}

// A Cell is the result of one cell.
type Cell struct {
	Name     string    `json:"name"`
	Outcome  Outcome   `json:"outcome"`
	Expected string    `json:"expected"`         // "through", or the code of the declared failure
	Got      string    `json:"got,omitempty"`    // the same for what happened
	Detail   string    `json:"detail,omitempty"` // the error or the reason, in words
	Hint     string    `json:"hint,omitempty"`   // what to do next, where it did not end as expected
	Seconds  float64   `json:"seconds"`
	Tunnel   *Tunnel   `json:"tunnel,omitempty"`
	Figures  *Figures  `json:"figures,omitempty"`
	Beside   *Beside   `json:"beside_direct,omitempty"`
	Checks   []Check   `json:"checks,omitempty"`
	Started  time.Time `json:"started"`
}

// Tunnel says how the way through came about. Phases are in milliseconds, in their order; one that
// did not take place is absent.
type Tunnel struct {
	Mechanism string  `json:"mechanism,omitempty"`
	Legs      int     `json:"connect_legs"`
	Dials     int     `json:"connections"`
	Phases    []Phase `json:"phases"`
}

// A Phase is a part of the set-up and how long it took.
type Phase struct {
	Name         string  `json:"name"`
	Milliseconds float64 `json:"ms"`
}

// Figures were measured through the tunnel.
type Figures struct {
	RTT      measure.Summary `json:"rtt"`      // of lone 160-byte packets, one at a time
	RTTLost  int64           `json:"rtt_lost"` // of these, not answered within a second
	UpMbps   float64         `json:"up_mbps"`  // goodput received, 1200-byte packets as fast as they go
	DownMbps float64         `json:"down_mbps"`
	UpLoss   float64         `json:"up_loss"` // share of what was sent, lost on the relayed UDP leg
	DownLoss float64         `json:"down_loss"`
}

// Beside compares with the direct baseline of the same run and transport.
type Beside struct {
	Baseline  string  `json:"baseline"`
	RTTAdded  float64 `json:"rtt_p50_added_ms"`
	UpRatio   float64 `json:"up_ratio"`
	DownRatio float64 `json:"down_ratio"`
}

// A Check is something asserted of the other side after the cell: the proxy's log, the verifier's
// count of failures.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
}

// Counts returns how many cells ended in each outcome.
func (r Run) Counts() map[Outcome]int {
	counts := make(map[Outcome]int)
	for _, c := range r.Cells {
		counts[c.Outcome]++
	}
	return counts
}

// Judge returns the verdict over all cells: fail when one failed; else void when one could not be
// judged, none was run or the run was interrupted; else pass.
func (r Run) Judge() (Outcome, string) {
	n := r.Counts()
	switch {
	case n[Fail] > 0:
		return Fail, ""
	case r.Partial:
		return Void, "the run was interrupted"
	case n[Void] > 0:
		return Void, "some cells could not be judged"
	case n[Skip] > 0:
		return Void, "some cells were skipped"
	case n[Pass] == 0:
		return Void, "no cell was run"
	}
	return Pass, ""
}
