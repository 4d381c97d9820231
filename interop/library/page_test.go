package library

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPage looks up every block of Go code and of output of docs/library.md in this module's source,
// so that the page shows what is compiled and run here. White space does not count, nor where
// comments break their lines, for the output stands in one.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := blocksOf(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) == 0 {
		t.Fatal("the page has no code")
	}
	source := readSource(t, "..")
	for _, b := range blocks {
		if !source.has(b.code) {
			t.Errorf("docs/library.md:%d: this stands in no Go file of interop:\n%s", b.line, b.code)
		}
	}
}

// A tree is the text of Go files, with white space made even.
type tree []string

func readSource(t *testing.T, root string) (files tree) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		files = append(files, even(string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (t tree) has(code string) bool {
	for _, file := range t {
		if strings.Contains(file, even(code)) {
			return true
		}
	}
	return false
}

// even makes every run of white space one space, with one at both ends, so that no word matches a
// part of another, and drops the signs of comments.
func even(text string) string {
	words := slices.DeleteFunc(strings.Fields(text), func(word string) bool { return word == "//" })
	return " " + strings.Join(words, " ") + " "
}
