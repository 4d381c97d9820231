package turntcp

import (
	"testing"
	"time"
)

// Only who finds trains rests, and only until the next look is due.
func TestRest(t *testing.T) {
	start := time.Unix(1000, 0)
	tests := []struct {
		name            string
		relays, packets int // that each look finds
		since           time.Duration
		want            time.Duration
	}{
		{"nothing yet", 0, 0, 0, 0},
		{"alone, one after the other", 1, 1, 0, 0},
		{"alone, on many relays", 40, 40, 0, 0},
		{"trains", 2, 8, 0, restInterval},
		{"trains, after some work", 2, 8, 40 * time.Microsecond, restInterval - 40*time.Microsecond},
		{"trains, nearly due", 2, 8, restInterval - leastRest/2, 0},
		{"trains, seldom", 2, 8, time.Second, 0},
	}
	for _, tt := range tests {
		r := rest{last: start}
		for range 50 {
			r.found(tt.relays, tt.packets)
		}
		if got := r.due(start.Add(tt.since)); got != tt.want {
			t.Errorf("%s: rests for %v, want %v", tt.name, got, tt.want)
		}
	}
}
