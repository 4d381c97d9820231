package firstbytes

import (
	"strings"
	"testing"
)

func TestBuffer(t *testing.T) {
	var b Buffer
	for range 3 {
		if n, err := b.Write([]byte(strings.Repeat("x", 3000))); n != 3000 || err != nil {
			t.Fatalf("got %d, %v; a program must not be held up", n, err)
		}
	}
	if got := b.String(); got != strings.Repeat("x", size) {
		t.Errorf("kept %d bytes, want the first %d", len(got), size)
	}
}
