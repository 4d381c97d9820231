package diagnosis

import "time"

// Limits below which a path is worth a reservation. They are generous: a sound path on a busy machine
// must not raise one.
const (
	burstShare  = 0.2   // of packets that come 100 ms later than the fastest
	farDelay    = 150.0 // ms one way, G.114 (05/2003) section 4
	slowMbps    = 1.0   // a call with video at 360p needs 0.5 each way and bursts of key frames
	nagleGap    = 25.0  // ms; a delayed acknowledgement takes 40
	smallPacket = 1200  // bytes, WebRTC's usual largest packet
)

// reservations are about a path on which datagrams come back.
func (e *explainer) reservations() {
	e.passedOver()
	e.compared()
	e.refusedMechanisms()
	e.drift()
	if q := e.r.Quality; q != nil {
		e.delays("up", q.Up, q.OwnLate)
		e.delays("down", q.Down, q.OwnLate)
	}
	if b := e.r.Bursts; b != nil {
		e.nagle("up", b.Up)
		e.nagle("down", b.Down)
	}
	if r := e.r.Rate; r != nil && min(r.Up, r.Down) < slowMbps {
		e.add("media.slow", Likely, "%.2f Mbit/s up and %.2f down went through", r.Up, r.Down)
	}
	if n := e.r.MaxPacket; n > 0 && n < smallPacket {
		e.add("media.small-packets", Certain, "packets of %d bytes come through, larger ones do not", n)
	}
	if x := e.r.Endurance; x != nil {
		e.endurance(x)
	}
}

// delays does not hold against the path what this machine may have done.
func (e *explainer) delays(way string, d Delays, own float64) {
	switch {
	case d.Sent == 0:
	case d.Late-own >= burstShare:
		e.add("media.bursts", Likely, "%s, %.0f %% of lone packets came more than 100 ms after the fastest, or never (min %.0f, p50 %.0f, max %.0f ms)",
			way, 100*d.Late, d.Min, d.P50, d.Max)
	case d.Min > farDelay:
		e.add("media.delay", Certain, "%s, the fastest packet took %.0f ms one way", way, d.Min)
	}
}

// nagle tells waiting for an acknowledgement from a slow path, on which the second packet waits for the
// first one to be through.
func (e *explainer) nagle(way string, b Burst) {
	slow := 0.0
	if r := e.r.Rate; r != nil && min(r.Up, r.Down) > 0 {
		slow = 4 * pingSize * 8 / (min(r.Up, r.Down) * 1e3)
	}
	if b.Second < nagleGap+slow {
		return
	}
	for _, f := range e.findings {
		if f.Code == "media.bursts" || f.Code == "media.nagle" {
			return
		}
	}
	e.add("media.nagle", Likely, "%s, the second of two small packets takes %.0f ms longer than the first", way, b.Second)
}

func (e *explainer) endurance(x *Endurance) {
	seconds := func(s float64) time.Duration {
		return time.Duration(s * float64(time.Second)).Round(time.Second)
	}
	if x.CutAfterIdle > 0 {
		e.add("tunnel.idle-limit", Certain, "a silence of %v ended the tunnel; one of %v did not%s",
			seconds(x.CutAfterIdle), seconds(x.Survived), x.again())
	}
	if x.Cut {
		e.add("tunnel.lifetime-limit", Likely, "a tunnel with traffic every second was ended after %v%s", seconds(x.Lived), x.again())
	}
}
