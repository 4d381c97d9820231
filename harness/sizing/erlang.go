package sizing

import (
	"errors"
	"math"

	"github.com/turngate/turngate/harness/measure"
)

// Lines is how many calls at a time a traffic needs, so that at most a share of them finds no room:
// Erlang's formula B, for calls that come independently of each other and do not wait. Meetings that
// begin on the hour are worse. Source: A. K. Erlang (1917), by the recursion
// B(n) = E B(n-1) / (n + E B(n-1)).
func Lines(erlangs, blocking float64) int {
	b, n := 1.0, 0
	for b > blocking {
		n++
		b = erlangs * b / (float64(n) + erlangs*b)
	}
	return n
}

// Concurrent completes a demand: users and their calls make erlangs, these make calls at a time. What
// is given directly wins.
func Concurrent(d measure.Demand) (measure.Demand, error) {
	for _, v := range []float64{float64(d.Users), d.PerHour, d.HoldingS, d.Erlangs, float64(d.Concurrent)} {
		if v < 0 || math.IsNaN(v) || v > 1e9 {
			return d, errors.New("a demand is a number from 0 to a billion")
		}
	}
	if d.Concurrent > 0 {
		return d, nil
	}
	if d.Erlangs == 0 {
		d.Erlangs = float64(d.Users) * d.PerHour * d.HoldingS / 3600
	}
	switch {
	case d.Erlangs == 0:
		return d, errors.New("give users with their calls in the busy hour, or erlangs, or concurrent calls")
	case d.Erlangs > 1e7:
		return d, errors.New("more than ten million erlangs are not to be sized here")
	case d.Blocking <= 0 || d.Blocking >= 1:
		return d, errors.New("the share of calls that may be blocked is between 0 and 1")
	}
	d.Concurrent = Lines(d.Erlangs, d.Blocking)
	return d, nil
}
