//go:build !unix

package turntcp

import "net"

// canPeek tells whether peekByte can look into a connection as it is.
func canPeek(net.Conn) bool { return false }

func peekTCP(*net.TCPConn) (byte, error) { return 0, errNoPeek }
