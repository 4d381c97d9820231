package proxyfind

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// A question is the first line that the child reads. The lines after it are replies.
type question struct {
	Script    string        `json:"script"`
	URL       string        `json:"url"`
	Host      string        `json:"host"`
	Now       time.Time     `json:"now"` // with the user's offset from UTC: the child has no TZ
	Limit     time.Duration `json:"limit"`
	Memory    int64         `json:"memory"`
	Addresses []netip.Addr  `json:"addresses"` // of this machine
}

// A message is a line that the child writes; one of the fields is set.
type message struct {
	Lookup *string  `json:"lookup,omitempty"` // a name; the parent replies
	Alert  *string  `json:"alert,omitempty"`
	Answer *string  `json:"answer,omitempty"` // the last one
	Fault  *trouble `json:"fault,omitempty"`  // the last one
}

// A reply is the parent's to a lookup; no addresses: the name has none.
type reply struct {
	Addresses []netip.Addr `json:"addresses"`
}

// trouble is an Error's part that the child knows.
type trouble struct {
	Failure Failure `json:"failure"`
	Line    int     `json:"line"`
	Text    string  `json:"text"`
}

const (
	maxMessages = 1 << 10  // lines of a child
	maxOutput   = 1 << 18  // bytes of a child
	maxQuestion = 16 << 20 // bytes: a script of MaxScript with every byte escaped
)

var errFlood = errors.New("the process that runs the script writes too much")

// converse reads the child's messages until the last one. lookup answers the questions among them,
// alert takes the others.
func converse(out io.Reader, in io.Writer, lookup func(string) []netip.Addr, alert func(string)) (string, error) {
	lines, replies := json.NewDecoder(io.LimitReader(out, maxOutput)), json.NewEncoder(in)
	for range maxMessages {
		var m message
		if err := lines.Decode(&m); err != nil {
			return "", fmt.Errorf("no answer of the script: %w", err)
		}
		switch {
		case m.Fault != nil:
			return "", &Error{Failure: m.Fault.Failure, Line: max(0, m.Fault.Line), Err: errors.New(clip(m.Fault.Text))}
		case m.Answer != nil:
			return *m.Answer, nil
		case m.Alert != nil:
			alert(*m.Alert)
		case m.Lookup != nil:
			if err := replies.Encode(reply{lookup(*m.Lookup)}); err != nil {
				return "", err
			}
		}
	}
	return "", errFlood
}
