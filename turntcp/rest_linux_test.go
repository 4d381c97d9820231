package turntcp

import (
	"testing"
	"time"
)

// Only who has very much to do rests, and only until the next look is due.
func TestRest(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration // there was a look
		found int           // packets, each time
		since time.Duration // the last look
		want  time.Duration
	}{
		{"nothing yet", 0, 0, 0, 0},
		{"lone packets", 100 * time.Microsecond, 1, 0, 0},
		{"trains, but not so many", 100 * time.Microsecond, 14, 0, 0},
		{"many trains", 100 * time.Microsecond, 16, 0, restInterval},
		{"many trains, at once after a look", 20 * time.Microsecond, 4, 0, restInterval},
		{"many trains, after some work", 100 * time.Microsecond, 16, 40 * time.Microsecond, restInterval - 40*time.Microsecond},
		{"many trains, nearly due", 100 * time.Microsecond, 16, restInterval - leastRest/2, 0},
		{"many trains, after a pause", 100 * time.Microsecond, 16, time.Second, 0},
	}
	for _, tt := range tests {
		now := time.Unix(1000, 0)
		r := rest{last: now}
		for range 1000 {
			now = now.Add(tt.every)
			r.last = now
			r.found(tt.found)
		}
		if got := r.due(now.Add(tt.since)); got != tt.want {
			t.Errorf("%s: rests for %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A burst after a pause is not much to do.
func TestRestAfterPause(t *testing.T) {
	now := time.Unix(1000, 0)
	r := rest{last: now, begin: now, busy: true}
	r.last = now.Add(time.Second)
	r.found(1000)
	if got := r.due(r.last); got != 0 {
		t.Errorf("rests for %v after 1000 packets in a second, want 0", got)
	}
}
