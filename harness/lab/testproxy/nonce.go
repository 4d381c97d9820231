package testproxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"time"
)

// nonces issues and checks the nonces of Digest. A nonce carries its time and a MAC, so nothing is
// remembered of those that nobody answers; of those in use, which nonce counts were seen.
type nonces struct {
	lifetime time.Duration
	now      func() time.Time
	max      int // of used
	key      [32]byte

	mu    sync.Mutex
	used  map[string]*counts
	floor time.Time // what was issued before is stale
}

// counts is the newest nonce count and, as bits, which of the 64 up to it were seen.
type counts struct {
	top  uint64
	seen uint64
}

// maxUsed bounds the nonces in use. At the bound all become stale, which costs each client one 407.
const maxUsed = 1 << 16

const nonceSize = 8 + 8 + 16 // time, random, MAC

func newNonces(lifetime time.Duration, now func() time.Time) *nonces {
	n := &nonces{lifetime: lifetime, now: now, max: maxUsed, used: make(map[string]*counts)}
	rand.Read(n.key[:])
	return n
}

func (n *nonces) issue() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(n.now().UnixNano()))
	b = append(b, make([]byte, 8)...)
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b, n.mac(b)...))
}

func (n *nonces) mac(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b)
	return h.Sum(nil)[:nonceSize-16]
}

// ours tells whether we issued a nonce, however long ago.
func (n *nonces) ours(nonce string) bool {
	_, ok := n.issued(nonce)
	return ok
}

func (n *nonces) issued(nonce string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != nonceSize || !hmac.Equal(b[16:], n.mac(b[:16])) {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))), true
}

// use spends one count (8 hexadecimal digits) of a nonce. false: the nonce is stale, or the count
// was spent before.
func (n *nonces) use(nonce, nc string) bool {
	count, err := strconv.ParseUint(nc, 16, 32)
	if err != nil || count == 0 {
		return false
	}
	issued, ok := n.issued(nonce)
	if !ok || n.now().Sub(issued) >= n.lifetime {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.used[nonce]
	if c == nil {
		n.makeRoom()
		if issued.Before(n.floor) {
			return false
		}
		c = new(counts)
		n.used[nonce] = c
	}
	return c.spend(count)
}

// makeRoom forgets expired nonces when the table is full, and if that does not help, makes all
// nonces stale: forgetting their counts alone would let them be replayed.
func (n *nonces) makeRoom() {
	if len(n.used) < n.max {
		return
	}
	for nonce := range n.used {
		if issued, _ := n.issued(nonce); n.now().Sub(issued) >= n.lifetime {
			delete(n.used, nonce)
		}
	}
	if len(n.used) >= n.max {
		clear(n.used)
		n.floor = n.now()
	}
}

func (c *counts) spend(count uint64) bool {
	switch {
	case count > c.top:
		c.seen = c.seen<<min(count-c.top, 64) | 1
		c.top = count
		return true
	case c.top-count >= 64 || c.seen>>(c.top-count)&1 == 1:
		return false
	}
	c.seen |= 1 << (c.top - count)
	return true
}
