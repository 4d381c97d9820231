package proxyconnect

import (
	"bufio"
	"errors"
	"net"
)

// A Conn is a tunnel. Its addresses are those of the connection to the proxy. Like any net.Conn it
// may be read by one goroutine and written by another.
type Conn struct {
	net.Conn
	info  Info
	early *bufio.Reader // what the proxy sent together with its 2xx; nil once read
}

// Info says how a tunnel came about.
type Info struct {
	Proxy     string // URL
	Target    string // host:port
	Mechanism string // Mechanism.Name that the proxy accepted; "" if it asked for none
	Legs      int    // CONNECT requests sent, over all connections
	Dials     int    // connections made to the proxy
}

// NetConn is the connection to the proxy that the tunnel is in, for looking at it: who reads from it or
// writes to it breaks the tunnel.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Info says how the tunnel came about.
func (c *Conn) Info() Info { return c.info }

// Read returns first what the proxy sent together with its answer.
func (c *Conn) Read(p []byte) (int, error) {
	if c.early != nil {
		if n := c.early.Buffered(); n > 0 {
			return c.early.Read(p[:min(len(p), n)])
		}
		c.early = nil
	}
	return c.Conn.Read(p)
}

// CloseWrite ends our direction of the tunnel and leaves the other open (TCP FIN, or TLS
// close_notify to an https proxy). Not every proxy passes it on.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}
