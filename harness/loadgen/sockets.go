package loadgen

import (
	"crypto/tls"
	"net"
	"syscall"
)

// Sockets is what the kernel says of the near ends' connections (TCP_INFO), of up to 200 of them.
// Retransmissions are lost segments between here and the proxy, and what is unsent waits here: both tell
// the network from the proxy.
type Sockets struct {
	Looked      int     // how many were looked at; 0 where that is not possible
	RTT         float64 // ms, smoothed, added up over them
	RTTMax      float64 // ms
	Unsent      int64   // bytes written and not yet sent, the most of one
	Retransmits int64   // segments since the connections began
}

// Add adds the figures of another part.
func (s *Sockets) Add(o Sockets) {
	s.Looked, s.RTT, s.Retransmits = s.Looked+o.Looked, s.RTT+o.RTT, s.Retransmits+o.Retransmits
	s.RTTMax, s.Unsent = max(s.RTTMax, o.RTTMax), max(s.Unsent, o.Unsent)
}

const maxLooked = 200

// sockets looks at the oldest connections; which they are does not change from look to look.
func (g *Generator) sockets() (s Sockets) {
	g.mu.Lock()
	calls := g.calls[:min(maxLooked, len(g.calls))]
	list := make([]syscall.RawConn, 0, len(calls))
	for _, c := range calls {
		if c.socket != nil {
			list = append(list, c.socket)
		}
	}
	g.mu.Unlock()
	for _, raw := range list {
		_ = raw.Control(func(fd uintptr) { s.look(int(fd)) }) // one that is closed is left out
	}
	return s
}

// socketOf finds the socket beneath TLS and a tunnel.
func socketOf(conn net.Conn) syscall.RawConn {
	for range 5 {
		switch c := conn.(type) {
		case syscall.Conn:
			if raw, err := c.SyscallConn(); err == nil {
				return raw
			}
			return nil
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// plainSocketOf is the socket that what is written to a connection goes to as it is; nil if TLS is in between.
func plainSocketOf(conn net.Conn) syscall.RawConn {
	for at, depth := conn, 0; depth < 5; depth++ {
		if _, is := at.(*tls.Conn); is {
			return nil
		}
		inner, wraps := at.(interface{ NetConn() net.Conn })
		if !wraps {
			break
		}
		at = inner.NetConn()
	}
	return socketOf(conn)
}
