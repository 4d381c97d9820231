// Package live shows a run of load or size while it goes on: as lines, on the whole screen of a
// terminal, and as metrics for Prometheus. What they show is what package loadtest says once a second;
// they add nothing, and the record does not depend on them.
package live
