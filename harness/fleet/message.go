package fleet

import (
	"time"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
)

// An order goes to a member, one JSON document each, after its spec.
type order struct {
	Step  *loadgen.Step `json:"step,omitempty"`  // bring the calls up and say Ready
	Begin *time.Time    `json:"begin,omitempty"` // measure from then on
	Stop  bool          `json:"stop,omitempty"`  // end the step now
}

// An answer comes from a member. Step ends what an order began; Error and Rejected belong to it.
type answer struct {
	Ready    bool              `json:"ready,omitempty"`
	Snapshot *loadgen.Snapshot `json:"snapshot,omitempty"`
	SoFar    *measure.Step     `json:"so_far,omitempty"` // what the step under way has counted
	Step     *measure.Step     `json:"step,omitempty"`
	Error    string            `json:"error,omitempty"`
	Rejected bool              `json:"rejected,omitempty"`
}
