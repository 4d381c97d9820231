package turntcp

import (
	"testing"

	"github.com/pion/stun/v4"
)

// We know what pion knows, whatever version of it that is.
func TestIsKnown(t *testing.T) {
	for a := stun.AttrType(0); a.Required(); a++ {
		if got, want := isKnown(a), a.Known(); got != want {
			t.Errorf("%v: known %v, want %v", a, got, want)
		}
	}
}
