package service

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The most that is read of a file, in bytes.
const (
	maxFile   = 16 << 20 // users, secrets, certificates
	maxConfig = 64 << 10
)

// readBounded reads a whole file that is not larger than anybody would want.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(b)) > most:
		return nil, fmt.Errorf("%s: larger than %d KiB", path, most>>10)
	}
	return b, nil
}

// readFile returns the values in a configuration file by the settings' names.
func readFile(path string) (map[string][]value, []error) {
	text, err := readBounded(path, maxConfig)
	if err != nil {
		return nil, []error{fmt.Errorf("--config: %w", err)}
	}
	return parseFile(path, text)
}

// parseFile reads YAML: one mapping of keys to scalars, or lists of them. Everything else is a
// problem, with line and column. (Of bad syntax only the line is known.)
func parseFile(path string, text []byte) (map[string][]value, []error) {
	f := &configFile{path: path, values: make(map[string][]value), seen: make(map[string]int)}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF:
		return nil, nil // nothing but comments
	case err != nil:
		return nil, []error{syntaxError(path, string(text), err)}
	}
	top := doc.Content[0]
	switch {
	case top.Kind == yaml.ScalarNode && top.Tag == "!!null":
	case top.Kind != yaml.MappingNode:
		f.fail(top, "want a mapping, lines of key: value")
	default:
		for i := 0; i+1 < len(top.Content); i += 2 {
			f.pair(top.Content[i], top.Content[i+1])
		}
	}
	var second yaml.Node
	switch err := d.Decode(&second); {
	case err == io.EOF:
	case err != nil:
		f.problems = append(f.problems, syntaxError(path, string(text), err))
	default:
		f.fail(&second, "a second document: want one")
	}
	return f.values, f.problems
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

type configFile struct {
	path     string
	values   map[string][]value
	seen     map[string]int // the line of each key
	problems []error
}

func (f *configFile) at(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", f.path, n.Line, n.Column)
}

func (f *configFile) fail(n *yaml.Node, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s: %s", f.at(n), fmt.Sprintf(format, args...)))
}

func (f *configFile) pair(key, val *yaml.Node) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key() == key.Value })
	if i < 0 || key.Kind != yaml.ScalarNode {
		f.fail(key, "unknown key %q%s", key.Value, suggestion(key.Value, keys()))
		return
	}
	if first, again := f.seen[key.Value]; again {
		f.fail(key, "%s was given in line %d already", key.Value, first)
		return
	}
	f.seen[key.Value] = key.Line
	set := settings[i]
	switch {
	case val.Kind == yaml.SequenceNode && set.list:
		for _, item := range val.Content {
			f.scalar(set, item)
		}
	default:
		f.scalar(set, val)
	}
}

// scalar takes a value as it is written: 0123 and yes are text here, not a number and a truth value.
func (f *configFile) scalar(set setting, n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		f.fail(n, "%s has no value", set.key())
	case n.Kind == yaml.ScalarNode:
		f.values[set.name] = append(f.values[set.name], value{n.Value, f.at(n) + ": " + set.key()})
	case set.list:
		f.fail(n, "%s: want a list of values", set.key())
	default:
		f.fail(n, "%s: want one value", set.key())
	}
}

func keys() (all []string) {
	for _, s := range settings {
		all = append(all, s.key())
	}
	return all
}
