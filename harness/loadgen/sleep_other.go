//go:build !linux

package loadgen

import "time"

func exactTimers() {}

func sleep(d time.Duration) { time.Sleep(d) }
