// Package attempts is for tests that measure time on a machine which may have other work:
//
//	attempts.Measure(t, func(errorf func(string, ...any)) {
//		if p99 := measureSomething(t); p99 > limit {
//			errorf("p99 is %v, want %v at most", p99, limit)
//		}
//	})
//
// What other work spoils once does not spoil it thrice, and what is wrong is wrong each time. It is no
// remedy for a limit that a slow machine can never keep: there the test must compare, or bring its own clock.
package attempts

import (
	"fmt"
	"strings"
	"testing"
)

// most is how often a measurement is made.
const most = 3

// Measure repeats a measurement until it has no error, three times at most, and logs what each attempt
// found. The test fails with what the last one found. The measurement may also use t itself, for what
// the machine's speed is no excuse for.
func Measure(t testing.TB, measure func(errorf func(format string, args ...any))) {
	t.Helper()
	var wrong []string
	for i := 1; i <= most && !t.Failed(); i++ {
		wrong = nil
		measure(func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) })
		if len(wrong) == 0 {
			return
		}
		t.Logf("attempt %d of %d: %s", i, most, strings.Join(wrong, "; "))
	}
	for _, w := range wrong {
		t.Error(w)
	}
}
