package library

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A block is a fenced block of code and the line of its first line.
type block struct {
	line int
	code string
}

// blocksOf returns the blocks of a page that begin with ```go, and with ```text, which is output.
// Fences must say their language, so that nothing goes unseen.
func blocksOf(page string) (blocks []block, err error) {
	language, start := "", 0
	var code strings.Builder
	number := 0
	for line := range strings.Lines(page) {
		number++
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case !isFence && language != "":
			code.WriteString(line)
		case isFence && language == "":
			if fence == "" {
				return nil, fmt.Errorf("line %d: a fence without a language", number)
			}
			language, start = fence, number+1
			code.Reset()
		case isFence:
			if language == "go" || language == "text" {
				blocks = append(blocks, block{start, code.String()})
			}
			language = ""
		}
	}
	if language != "" {
		return nil, fmt.Errorf("line %d: the block does not end", start)
	}
	return blocks, nil
}

func TestBlocksOf(t *testing.T) {
	for _, tc := range []struct {
		name, page string
		want       []block
		fails      bool
	}{
		{name: "none", page: "text\n"},
		{name: "two", page: "a\n```go\nx := 1\n\ty()\n```\nb\n```go\nz\n```\n", want: []block{{3, "x := 1\n\ty()\n"}, {8, "z\n"}}},
		{name: "another language", page: "```sh\ngo get\n```\n"},
		{name: "output", page: "```text\n1 2\n```\n", want: []block{{2, "1 2\n"}}},
		{name: "in a list", page: "- a\n  ```go\n  x\n  ```\n", want: []block{{3, "  x\n"}}},
		{name: "no language", page: "```\nx\n```\n", fails: true},
		{name: "no end", page: "```go\nx\n", fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := blocksOf(tc.page)
			if !reflect.DeepEqual(got, tc.want) || (err != nil) != tc.fails {
				t.Errorf("got %v, %v; want %v, an error: %v", got, err, tc.want, tc.fails)
			}
		})
	}
}

func TestEven(t *testing.T) {
	source := tree{even("func f() {\n\treturn\n}\n\t// a\n\t// b\n")}
	for code, want := range map[string]bool{
		"func f() {\n  return\n}": true,
		"func f() {":              true,
		"a b":                     true,
		"unc f() {":               false,
		"func g() {":              false,
	} {
		if got := source.has(code); got != want {
			t.Errorf("has(%q) is %v, want %v", code, got, want)
		}
	}
}
