//go:build !linux

package loadgen

import "time"

func keepTime() {}

func sleep(d time.Duration) { time.Sleep(d) }
