//go:build !linux

package loadtest

import "context"

// watchOthers looks at Linux only.
func (t *Test) watchOthers(context.Context) (w Watch, unknown string) {
	return nil, "whether other programs took this machine's CPU: that is known on Linux only"
}
