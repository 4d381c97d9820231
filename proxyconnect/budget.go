package proxyconnect

import "sync"

// A Budget bounds how often credentials may be rejected, so that a wrong password does not lock an
// account. Share one between all dials of a run: after the budget is spent they send no more
// credentials. The zero value is ready; it may be used concurrently. (Dials that are under way
// at the same time may each be rejected once: make one dial first.)
type Budget struct {
	// Rejections is how many the budget allows, of all credentials together. Default 1: the first one
	// ends all.
	Rejections int

	// Retry lets a credential be tried again, by another mechanism or another dial, after it was
	// rejected once, as long as the number above allows.
	Retry bool

	mu       sync.Mutex
	count    int
	rejected map[string]bool
}

// allows tells whether the credential may be tried.
func (b *Budget) allows(credential string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count < max(b.Rejections, 1) && (b.Retry || !b.rejected[credential])
}

func (b *Budget) reject(credential string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rejected == nil {
		b.rejected = make(map[string]bool)
	}
	b.rejected[credential] = true
	b.count++
}

// Spent tells how many rejections the budget has seen.
func (b *Budget) Spent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}
