// Package loadgen offers calls to a TURN server over connections that it is given, in an open loop:
// every packet has a time when it is due, whatever became of the ones before, and its delay counts
// from then.
//
//	g, err := loadgen.New(loadgen.Config{Profile: p, Near: throughProxy, Far: direct, User: u, Password: pw})
//	defer g.Close()
//	step, err := g.Run(ctx, loadgen.Step{Calls: 20, Duration: time.Minute})
//
// The near end of a call has a connection and an allocation of its own; the far ends share a few. Both
// are in this process, so that one clock sees a packet go and come. It does not know proxies, and
// judges nothing but itself: a step in which the generator was the bottleneck is void.
package loadgen
