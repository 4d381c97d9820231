// Package fleet divides the calls of a load among processes of this machine, which begin together and
// follow the schedule that one would follow, and merges what they measured.
//
//	f, err := fleet.Start(ctx, fleet.Config{Processes: 4, Args: []string{"load-member"}, Spec: spec})
//	defer f.Close()
//	step, err := f.Load(false).Run(ctx, loadgen.Step{Calls: 400, Duration: time.Minute})
//
// A member is this program again, with other arguments, and calls Serve. What it needs to know stands
// on its standard input, so that no secret is in a process list. A member that dies makes the step
// void; it is never replaced.
package fleet
