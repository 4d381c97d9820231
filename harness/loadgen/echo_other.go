//go:build !linux

package loadgen

import "net"

func droppedBy(*net.UDPConn) int64 { return -1 }
