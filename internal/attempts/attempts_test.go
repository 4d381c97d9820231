package attempts

import (
	"slices"
	"testing"
)

// tb takes down what a test is told.
type tb struct {
	testing.TB
	errors []any
	logs   int
}

func (t *tb) Helper()             {}
func (t *tb) Logf(string, ...any) { t.logs++ }
func (t *tb) Error(args ...any)   { t.errors = append(t.errors, args...) }
func (t *tb) Failed() bool        { return len(t.errors) > 0 }

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		name             string
		wrong            int  // so many attempts find something
		fails            bool // the test itself, at the first
		wantTries, wantN int  // errors
	}{
		{"good at once", 0, false, 1, 0},
		{"spoiled twice", 2, false, 3, 0},
		{"wrong", 9, false, 3, 2},
		{"no matter of speed", 9, true, 1, 3},
	} {
		told, tries := new(tb), 0
		Measure(told, func(errorf func(string, ...any)) {
			tries++
			if c.fails {
				told.Error("no server")
			}
			if tries <= c.wrong {
				errorf("%d", tries)
				errorf("and more")
			}
		})
		if tries != c.wantTries || len(told.errors) != c.wantN || told.logs != min(c.wrong, tries) {
			t.Errorf("%s: %d tries, errors %v, %d logged; want %d, %d, %d", c.name, tries, told.errors, told.logs, c.wantTries, c.wantN, min(c.wrong, tries))
		}
		if c.name == "wrong" && !slices.Equal(told.errors, []any{"3", "and more"}) {
			t.Errorf("%s: %v, want what the last one found", c.name, told.errors)
		}
	}
}
