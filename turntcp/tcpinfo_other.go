//go:build !linux

package turntcp

import "net"

// readTCPInfo knows nothing here.
func readTCPInfo(net.Conn) TCPInfo { return TCPInfo{} }
