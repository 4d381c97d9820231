//go:build !unix

package loadgen

import "time"

func cpuTime() time.Duration { return 0 }
func fileLimit() int         { return 0 }
func rss() int64             { return 0 }
