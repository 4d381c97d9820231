// Package loadtest loads a proxy with calls and says how well it carries them: a direct baseline, the
// load through the proxy, what the proxy's machine shows meanwhile, a verdict. It can also search the
// number of calls that the proxy carries within the objectives.
//
//	t := loadtest.Test{Proxied: way, Direct: &direct, Profile: profile, Objectives: objectives}
//	record := t.Load(ctx, loadtest.Shape{Calls: 40, Duration: time.Minute})
//
// It does not generate load (loadgen), fit models (sizing) or draw (report).
package loadtest
