package loadgen

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Part is a rational share of the calls: of every Of calls in a row those from From to To-1, counted
// from 0. Which they are follows from the numbers alone, so generators that share a run need not
// agree on anything but its seed. The zero value is all calls.
type Part struct{ From, To, Of int }

// ParsePart reads "2/4", the second of four equal parts, or "1-3/4", the first three of four.
func ParsePart(text string) (Part, error) {
	share, of, ok := strings.Cut(text, "/")
	first, last, isRange := strings.Cut(share, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	all, err3 := strconv.Atoi(of)
	if p := (Part{from - 1, to, all}); ok && errors.Join(err1, err2, err3) == nil && p != (Part{}) && p.Validate() == nil {
		return p, nil
	}
	return Part{}, fmt.Errorf("%q: want a part like 2/4, or 1-3/4 for the first three of four", text)
}

// Validate says what is wrong.
func (p Part) Validate() error {
	if p != (Part{}) && (p.From < 0 || p.To <= p.From || p.Of < p.To || p.Of > 1000) {
		return fmt.Errorf("part %d-%d/%d: want 1 to 1000 parts and a range among them", p.From+1, p.To, p.Of)
	}
	return nil
}

// String is what ParsePart reads.
func (p Part) String() string {
	p = p.whole()
	if p.To == p.From+1 {
		return fmt.Sprintf("%d/%d", p.To, p.Of)
	}
	return fmt.Sprintf("%d-%d/%d", p.From+1, p.To, p.Of)
}

func (p Part) whole() Part {
	if p == (Part{}) {
		return Part{0, 1, 1}
	}
	return p
}

// Number is that of the part's n-th call among all calls.
func (p Part) Number(n int) int {
	p = p.whole()
	width := p.To - p.From
	return n/width*p.Of + p.From + n%width
}

// Share is how many of the first n calls of the run are the part's.
func (p Part) Share(n int) int {
	p = p.whole()
	return n/p.Of*(p.To-p.From) + min(max(0, n%p.Of-p.From), p.To-p.From)
}

// Split is the i-th (from 0) of n equal parts of a part that is a single share.
func (p Part) Split(i, n int) (Part, error) {
	p = p.whole()
	if p.To-p.From != 1 {
		return Part{}, fmt.Errorf("part %v is several shares: it cannot be divided among processes", p)
	}
	q := Part{From: p.From + i*p.Of, To: p.From + i*p.Of + 1, Of: n * p.Of}
	return q, q.Validate()
}
