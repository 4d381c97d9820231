package loadgen

import "time"

// What the E-model is computed with, besides what is measured.
const (
	jitterBuffer = 60.0 // ms
	packetising  = 20.0 // ms: a frame of Opus
	lookAhead    = 6.5  // ms: of Opus
	robustness   = 10.0 // Bpl: of a codec without forward error correction (assumed; none is standardised for Opus)
)

// MOS estimates the quality of conversation by the E-model (ITU-T G.107 in its simplified form, Cole
// and Rosenbluth 2001) of the network's one-way delay and of the share of packets that came too late
// to be played. It is 1 (unusable) to 4.4.
func MOS(delay time.Duration, late float64) float64 {
	d := float64(delay)/float64(time.Millisecond) + jitterBuffer + packetising + lookAhead
	impaired := 0.024 * d
	if d > 177.3 {
		impaired += 0.11 * (d - 177.3)
	}
	p := 100 * late
	r := 93.2 - impaired - 95*p/(p+robustness)
	if r <= 0 {
		return 1
	}
	return max(1, 1+0.035*r+7e-6*r*(r-60)*(100-r)) // the cubic dips below 1 at its lower end
}
