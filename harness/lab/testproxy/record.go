package testproxy

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Record is what the proxy writes down of one request: just before the answer is sent, or, for a
// tunnel, when the tunnel has ended. A connection that fails otherwise leaves one with Status 0. It
// holds no secret.
type Record struct {
	Conn   int    // number of the client's connection, from 1
	Remote string // the client's address
	Legs   int    // requests on the connection so far, this one included

	Status int    // of the answer; 0 if there was none
	Target string // request-target
	Scheme string // of the credentials; "" if there were none, or none of ours
	User   string // accepted, or rejected as far as known
	Tunnel bool   // a tunnel was opened

	Up, Down   int64 // bytes through the tunnel to and from the target
	Start, End time.Time
	Reason     string // why it was refused, or why the tunnel ended if not by both sides closing
}

// An Account is whose attempts are counted. User is "" where the Handshake did not name one.
type Account struct{ Scheme, User string }

// Attempts counts what Handshakes decided: a handshake of several legs is one attempt.
type Attempts struct{ Accepted, Rejected int }

// maxAccounts bounds how many accounts are told apart; clients choose the names. All others are
// counted for the user "(others)".
const maxAccounts = 4096

// A book holds the records and counters of a Proxy.
type book struct {
	keep int
	log  func(Record)

	mu       sync.Mutex
	records  []Record
	attempts map[Account]Attempts
	answers  map[int]int
	tunnels  int
	changed  chan struct{} // closed and replaced at every change
}

func newBook(keep int, log func(Record)) *book {
	return &book{keep: keep, log: log, attempts: make(map[Account]Attempts), answers: make(map[int]int), changed: make(chan struct{})}
}

func (b *book) add(r Record) {
	b.mu.Lock()
	if len(b.records) == b.keep {
		b.records = slices.Delete(b.records, 0, max(1, b.keep/8)) // in one go, not at every record
	}
	b.records = append(b.records, r)
	if !r.Tunnel && r.Status != 0 {
		b.answers[r.Status]++
	}
	b.notify()
	b.mu.Unlock()
	if b.log != nil {
		b.log(r)
	}
}

// attempt counts a verdict that ends a handshake.
func (b *book) attempt(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	account := Account{v.scheme, v.user}
	if _, known := b.attempts[account]; !known && len(b.attempts) >= maxAccounts {
		account.User = "(others)"
	}
	counts := b.attempts[account]
	switch {
	case v.accepted:
		counts.Accepted++
	case v.challenge == "":
		counts.Rejected++
	default:
		return
	}
	b.attempts[account] = counts
	b.notify()
}

func (b *book) opened(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[status]++
	b.tunnels++
	b.notify()
}

func (b *book) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tunnels--
	b.notify()
}

func (b *book) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Records returns the newest records, oldest first.
func (p *Proxy) Records() []Record {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	return slices.Clone(p.book.records)
}

// Attempts returns the counters of all accounts.
func (p *Proxy) Attempts() map[Account]Attempts {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	return maps.Clone(p.book.attempts)
}

// Rejected is how many verifications of a user under a scheme failed.
func (p *Proxy) Rejected(scheme, user string) int {
	return p.Attempts()[Account{scheme, user}].Rejected
}

// Answers is how many answers of each status were written; opened tunnels count at once.
func (p *Proxy) Answers() map[int]int {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	return maps.Clone(p.book.answers)
}

// Tunnels is how many tunnels are open.
func (p *Proxy) Tunnels() int {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	return p.book.tunnels
}

// Wait waits until cond is true. It looks again after every record, counted attempt, and opened or
// ended tunnel. The error is that of ctx.
func (p *Proxy) Wait(ctx context.Context, cond func() bool) error {
	for {
		p.book.mu.Lock()
		changed := p.book.changed
		p.book.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitRecord waits for the first record that fits, also among those already written.
func (p *Proxy) WaitRecord(ctx context.Context, fits func(Record) bool) (Record, error) {
	var found Record
	err := p.Wait(ctx, func() bool {
		records := p.Records()
		i := slices.IndexFunc(records, fits)
		if i >= 0 {
			found = records[i]
		}
		return i >= 0
	})
	return found, err
}
