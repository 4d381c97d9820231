package turntcp

// immediate is what WriteNow needs; Client.writing guards it.
type immediate struct {
	send   func(fd uintptr) // made once
	frames []byte           // to be sent
	n      int              // how much of it was
	err    error
	rest   []byte // of what the socket has taken a part of
}

// WriteNow is WriteFrames for who must not wait, and has none of its costs for Go's scheduler. taken is false where
// the frames must be written by WriteFrames: without a Socket, or while the connection takes nothing or
// somebody else is writing. If the connection has taken a part, the client keeps the rest, and unsent tells
// that WriteFrames must be called for it soon, be it with nothing.
func (c *Client) WriteNow(frames []byte) (taken, unsent bool) {
	if c.cfg.Socket == nil || len(frames) == 0 || !c.writing.TryLock() {
		return false, false
	}
	defer c.writing.Unlock()
	if len(c.now.rest) > 0 {
		return false, true
	}
	c.now.frames, c.now.n = frames, 0
	err := c.cfg.Socket.Control(c.now.send)
	c.now.frames = nil
	if err != nil || c.now.err != nil || c.now.n == 0 {
		return false, false // WriteFrames finds out why
	}
	c.now.rest = append(c.now.rest, frames[c.now.n:]...)
	return true, len(c.now.rest) > 0
}
