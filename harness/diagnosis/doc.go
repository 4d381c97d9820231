// Package diagnosis walks the path of TURN through a proxy stage by stage, keeps what it saw as data, and
// explains the data.
//
//	check := diagnosis.Check{Dialer: dialer, TURN: turn}
//	report := check.Run(ctx)
//	for _, f := range diagnosis.Explain(report) { ... f.Code, f.Fact, f.Cause, f.Action ... }
//
// Run is the witness: it judges nothing. Explain is pure: the same report gives the same findings. Neither
// report nor findings hold a secret. The package finds no proxy (no PAC, no WPAD), does not measure
// throughput, and does not wait for idle limits.
package diagnosis
