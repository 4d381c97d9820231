// Package probe asks a proxy's machine how it is, by what it offers: Squid's cache manager, SNMP, a
// Prometheus endpoint.
//
//	s, err := probe.NewSquid("http://proxy:3128", "")
//	values, err := s.Sample(ctx) // "squid.cpu_cores", "squid.fds_in_use", "squid.ntlm.queue", ...
//
// A probe is sampled by one goroutine, about once a second; rates are since its last sample, and absent
// in the first. Processes of this machine are watched by package loadtest.
package probe

import "time"

// rates turns counters into what they grow by per second.
type rates struct {
	last map[string]float64
	at   time.Time
}

// next returns the growth per second of each counter that was there before, and has not begun anew.
func (r *rates) next(now time.Time, counters map[string]float64) map[string]float64 {
	grown := make(map[string]float64)
	if seconds := now.Sub(r.at).Seconds(); r.last != nil && seconds > 0 {
		for name, v := range counters {
			if before, known := r.last[name]; known && v >= before {
				grown[name] = (v - before) / seconds
			}
		}
	}
	r.last, r.at = counters, now
	return grown
}
