package realstack

import (
	"encoding/binary"
	"errors"
	"time"
)

// backdate moves all times in a credential cache file, version 4, into the past, in place. The format
// is in MIT's documentation, "Credential cache file format".
func backdate(file []byte, by time.Duration) error {
	c := &cursor{rest: file}
	if version := c.take(2); c.failed || version[0] != 5 || version[1] != 4 {
		return errors.New("not a credential cache of version 4")
	}
	c.take(c.uint16()) // header
	c.principal()
	for len(c.rest) > 0 && !c.failed {
		c.principal() // client
		c.principal() // server
		c.take(2)     // type of the session key
		c.data()
		c.backdate(4, by)   // authentication, start, end, renewable until
		c.take(1 + 4)       // is it a session key's ticket; flags
		c.typed(c.uint32()) // addresses
		c.typed(c.uint32()) // authorization data
		c.data()            // ticket
		c.data()            // second ticket
	}
	if c.failed {
		return errors.New("credential cache ends early")
	}
	return nil
}

// A cursor reads from the front of rest. When that is too short it fails, and reads nothing more.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) || c.failed {
		c.failed = true
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) uint16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) uint32() int {
	if b := c.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) data() { c.take(c.uint32()) }

// principal is a type, the number of components, the realm, the components.
func (c *cursor) principal() {
	c.take(4)
	for range c.uint32() + 1 {
		if c.data(); c.failed {
			return
		}
	}
}

// typed is n times a type and data.
func (c *cursor) typed(n int) {
	for range n {
		c.take(2)
		if c.data(); c.failed {
			return
		}
	}
}

func (c *cursor) backdate(n int, by time.Duration) {
	for range n {
		b := c.take(4)
		if b == nil {
			return
		}
		if at := binary.BigEndian.Uint32(b); at != 0 { // 0: does not apply
			binary.BigEndian.PutUint32(b, at-uint32(by/time.Second))
		}
	}
}
