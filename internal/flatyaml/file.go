// Package flatyaml reads strict YAML files that are one mapping of keys to values or lists of values, or a
// list of such mappings: every problem at once, with file, line, column, and a suggestion for a mistyped key.
package flatyaml

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Key is one that the file may have.
type Key struct {
	Name string
	List bool // may have a list of values
}

// A Value is the text of a value as it is written, and where: "plan.yaml:3:8: calls".
type Value struct{ Text, At string }

// maxFile is the most that is read of a file, in bytes.
const maxFile = 64 << 10

// ReadFile returns the values in a file by their keys, and all that is wrong with it.
func ReadFile(path string, keys []Key) (map[string][]Value, []error) {
	text, err := read(path)
	if err != nil {
		return nil, []error{err}
	}
	return Parse(path, text, keys)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s: larger than %d KiB", path, maxFile>>10)
	}
	return text, nil
}

// Parse is ReadFile of a text; path is for the errors. Of bad syntax only the line is known.
func Parse(path string, text []byte, keys []Key) (map[string][]Value, []error) {
	f := newFile(path, keys)
	top := f.document(text)
	switch {
	case top == nil:
		return nil, f.problems
	case top.Kind == yaml.ScalarNode && top.Tag == "!!null":
	case top.Kind != yaml.MappingNode:
		f.fail(top, "want a mapping, lines of key: value")
	default:
		f.mapping(top)
	}
	return f.values, f.problems
}

// document returns what the only document holds, nil for nothing but comments or bad syntax.
func (f *file) document(text []byte) *yaml.Node {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF:
		return nil
	case err != nil:
		f.problems = append(f.problems, syntaxError(f.path, string(text), err))
		return nil
	}
	switch err := d.Decode(&second); {
	case err == io.EOF:
	case err != nil:
		f.problems = append(f.problems, syntaxError(f.path, string(text), err))
	default:
		f.fail(&second, "a second document: want one")
	}
	return doc.Content[0]
}

// maxLines is up to how many lines the line of bad syntax is looked for.
const maxLines = 1000

// syntaxError says in which line the syntax is bad. The parser's own number is that of the line
// before, or of the beginning of what surrounds it, or missing, so the line is the first one from
// which on no beginning of the text can be parsed.
func syntaxError(path, text string, err error) error {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		_, what, _ = strings.Cut(rest, ": ")
	}
	lines := strings.SplitAfter(text, "\n")
	if len(lines) > maxLines {
		return fmt.Errorf("%s: %s", path, what)
	}
	bad := len(lines)
	for bad > 1 && !parses(strings.Join(lines[:bad-1], "")) {
		bad--
	}
	return fmt.Errorf("%s:%d: %s", path, bad, what)
}

func parses(text string) bool {
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		switch err := d.Decode(&n); {
		case err == io.EOF:
			return true
		case err != nil:
			return false
		}
	}
}

type file struct {
	path     string
	keys     []Key
	values   map[string][]Value
	seen     map[string]int // the line of each key
	problems []error
}

func newFile(path string, keys []Key) *file {
	return &file{path: path, keys: keys, values: make(map[string][]Value), seen: make(map[string]int)}
}

func (f *file) mapping(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		f.pair(n.Content[i], n.Content[i+1])
	}
}

func (f *file) at(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", f.path, n.Line, n.Column)
}

func (f *file) fail(n *yaml.Node, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s: %s", f.at(n), fmt.Sprintf(format, args...)))
}

func (f *file) pair(key, val *yaml.Node) {
	i := slices.IndexFunc(f.keys, func(k Key) bool { return k.Name == key.Value })
	if i < 0 || key.Kind != yaml.ScalarNode {
		f.fail(key, "unknown key %q%s", key.Value, Suggestion(key.Value, f.names()))
		return
	}
	if first, again := f.seen[key.Value]; again {
		f.fail(key, "%s was given in line %d already", key.Value, first)
		return
	}
	f.seen[key.Value] = key.Line
	set := f.keys[i]
	switch {
	case val.Kind == yaml.SequenceNode && set.List:
		for _, item := range val.Content {
			f.scalar(set, item)
		}
	default:
		f.scalar(set, val)
	}
}

// scalar takes a value as it is written: 0123 and yes are text here, not a number and a truth value.
func (f *file) scalar(set Key, n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		f.fail(n, "%s has no value", set.Name)
	case n.Kind == yaml.ScalarNode:
		f.values[set.Name] = append(f.values[set.Name], Value{n.Value, f.at(n) + ": " + set.Name})
	case set.List:
		f.fail(n, "%s: want a list of values", set.Name)
	default:
		f.fail(n, "%s: want one value", set.Name)
	}
}

func (f *file) names() (all []string) {
	for _, k := range f.keys {
		all = append(all, k.Name)
	}
	return all
}
