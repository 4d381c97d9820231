package flatyaml

import "go.yaml.in/yaml/v3"

// An Item is one mapping of a list, and where it begins: "targets.yaml:3:3".
type Item struct {
	Values map[string][]Value
	At     string
}

// ReadList returns the mappings of a file that is a list of them, and all that is wrong with it.
func ReadList(path string, keys []Key) ([]Item, []error) {
	text, err := read(path)
	if err != nil {
		return nil, []error{err}
	}
	return ParseList(path, text, keys)
}

// ParseList is ReadList of a text; path is for the errors.
func ParseList(path string, text []byte, keys []Key) (items []Item, problems []error) {
	f := newFile(path, keys)
	top := f.document(text)
	switch {
	case top == nil || top.Kind == yaml.ScalarNode && top.Tag == "!!null":
		return nil, f.problems
	case top.Kind != yaml.SequenceNode:
		f.fail(top, "want a list, items that begin with -")
		return nil, f.problems
	}
	problems = f.problems
	for _, n := range top.Content {
		item := newFile(path, keys)
		if n.Kind == yaml.MappingNode {
			item.mapping(n)
		} else {
			item.fail(n, "want a mapping, lines of key: value")
		}
		items = append(items, Item{item.values, item.at(n)})
		problems = append(problems, item.problems...)
	}
	return items, problems
}
