package measure

import (
	"encoding/json"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyJSON is how a Latency stands in a file: its summary for the reader, and all of it (the V2
// compressed encoding of HdrHistogram, base64) for programs, which can merge it exactly.
type latencyJSON struct {
	Summary
	HDR string `json:"hdr,omitempty"`
}

// MarshalJSON writes the summary and the whole histogram.
func (l *Latency) MarshalJSON() ([]byte, error) {
	if l.h.TotalCount() == 0 {
		return json.Marshal(latencyJSON{})
	}
	text, err := l.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(latencyJSON{l.Summary(), string(text)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Latency) UnmarshalJSON(text []byte) error {
	var j latencyJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	l.h = hdrhistogram.New(lowest, highest, digits)
	if j.HDR == "" {
		return nil
	}
	h, err := hdrhistogram.Decode([]byte(j.HDR))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	if dropped := l.h.Merge(h); dropped != 0 {
		return fmt.Errorf("histogram: %d observations are beyond its range", dropped)
	}
	return nil
}
