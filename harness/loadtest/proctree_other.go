//go:build !linux

package loadtest

import "errors"

// WatchProcess watches a process; here that cannot be done.
func WatchProcess(int) (Watch, error) {
	return nil, errors.New("processes can be watched on Linux only")
}
