package kerberostest

import (
	"crypto/sha256"
	"sync"
	"time"
)

// A replayCache remembers authenticators as long as they would be accepted. It knows them by a hash
// of all their bytes, not by client and time: two clients, or one in two threads, may well have the
// same microsecond. It keeps two generations and forgets the older one as a whole, so that its size
// is bounded by what is accepted within twice the lifetime.
type replayCache struct {
	mu       sync.Mutex
	young    map[[sha256.Size]byte]bool
	old      map[[sha256.Size]byte]bool
	youngEnd time.Time // when young becomes old
}

// add returns false if the authenticator was added before, less than life ago.
func (c *replayCache) add(authenticator []byte, now time.Time, life time.Duration) bool {
	key := sha256.Sum256(authenticator)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || now.After(c.youngEnd) {
		c.old = c.young
		if now.Sub(c.youngEnd) > life {
			c.old = nil
		}
		c.young, c.youngEnd = map[[sha256.Size]byte]bool{}, now.Add(life)
	}
	if c.young[key] || c.old[key] {
		return false
	}
	c.young[key] = true
	return true
}
