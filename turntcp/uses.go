package turntcp

import (
	"math"
	"sync/atomic"
)

// uses counts who uses something just now, so that who ends it need not wait for them: whoever is the last
// after its end clears up. The zero value is in use by nobody.
type uses struct{ n atomic.Int32 }

// atEnd is far below zero, so that what is used on until its end stays there.
const atEnd = math.MinInt32

// begin reports false after the end: nothing may be used then, and done not be called.
func (u *uses) begin() bool {
	for {
		n := u.n.Load()
		if n < 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// done reports whether the caller has to clear up.
func (u *uses) done() (last bool) { return u.n.Add(-1) == atEnd }

// end is called once. It reports whether the caller has to clear up.
func (u *uses) end() (last bool) { return u.n.Add(atEnd) == atEnd }

func (u *uses) ended() bool { return u.n.Load() < 0 }
