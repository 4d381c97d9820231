package turntcp

import "time"

// The system tells of data and of the end that came right behind it by one event, so a short read
// hides the end (readReady). The sweep looks at each connection once after it has become quiet.

// sweepInterval is how long the end of a connection may stay unnoticed, once or twice.
const sweepInterval = time.Second

// What the sweep knows of a connection.
const (
	quietSure    = iota // an end would be an event of its own
	quietHeard          // read since the last sweep
	quietForLong        // not read since
)

// heard is called by who read a connection and cannot tell whether it has ended.
func (c *conn) heard() {
	if c.quiet.Load() != quietHeard {
		c.quiet.Store(quietHeard)
	}
}

// sweep looks for ended connections until the server closes.
func (s *Server) sweep() {
	t := time.NewTicker(sweepInterval)
	defer t.Stop()
	var all []*conn
	for {
		select {
		case <-t.C:
			all = s.lookForEnds(all)
		case <-s.stop.Done():
			return
		}
	}
}

// lookForEnds looks at every connection. It returns the room for them, empty, for the next time.
func (s *Server) lookForEnds(all []*conn) []*conn {
	s.mu.Lock()
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.lookForEnd()
	}
	clear(all)
	return all[:0]
}

// lookForEnd hangs up a connection that the client has closed.
func (c *conn) lookForEnd() {
	switch c.quiet.Load() {
	case quietHeard:
		c.quiet.CompareAndSwap(quietHeard, quietForLong)
	case quietForLong:
		switch err := c.sock.now.peek(); err {
		case nil: // being read just now
		case errNothingYet:
			c.quiet.CompareAndSwap(quietForLong, quietSure)
		default:
			c.srv.running.Go(func() { c.hangUp(err) })
		}
	}
}
