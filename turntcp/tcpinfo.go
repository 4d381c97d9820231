package turntcp

import "time"

// A TCPInfo is what the kernel knows of the way to the other end of a connection, which is the client or
// the proxy before us. It is zero where the system does not tell.
type TCPInfo struct {
	RTT         time.Duration // smoothed
	RTTVariance time.Duration
	Retransmits uint64 // segments, since the connection began
}

// tcpInfo is that of now, or of the moment before the connection was hung up.
func (c *conn) tcpInfo() TCPInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason != nil {
		return c.lastTCP
	}
	return readTCPInfo(c.sock.Conn)
}
