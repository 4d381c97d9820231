package flatyaml

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var known = []Key{{Name: "calls"}, {Name: "duration"}, {Name: "steps", List: true}}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string][]string
		problems   []string
	}{
		{"empty", "# nothing\n", nil, nil},
		{"values", "calls: 012\nsteps: [1, 2]\nduration: 1m\n", map[string][]string{"calls": {"012"}, "steps": {"1", "2"}, "duration": {"1m"}}, nil},
		{"one of a list", "steps: 3", map[string][]string{"steps": {"3"}}, nil},
		{"all problems", "cals: 1\nsteps:\n  - {a: b}\nduration:\ncalls: [1]\n", nil,
			[]string{`f:1:1: unknown key "cals"; did you mean calls?`, "f:3:5: steps: want a list of values", "f:4:10: duration has no value", "f:5:8: calls: want one value"}},
		{"twice", "calls: 1\ncalls: 2", map[string][]string{"calls": {"1"}}, []string{"calls was given in line 1 already"}},
		{"a list at the top", "- calls", nil, []string{"f:1:1: want a mapping"}},
		{"two documents", "calls: 1\n---\ncalls: 2", map[string][]string{"calls": {"1"}}, []string{"a second document"}},
		{"syntax", "calls: 1\nsteps: [1\n", nil, []string{"f:2: "}},
	} {
		values, problems := Parse("f", []byte(c.text), known)
		got := make(map[string][]string)
		for key, list := range values {
			for _, v := range list {
				got[key] = append(got[key], v.Text)
			}
		}
		if c.want != nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if text := errors.Join(problems...); len(problems) != len(c.problems) {
			t.Errorf("%s: problems\n%v\nwant %q", c.name, text, c.problems)
			continue
		}
		for i, want := range c.problems {
			if !strings.Contains(problems[i].Error(), want) {
				t.Errorf("%s: problem %q, want %q", c.name, problems[i], want)
			}
		}
	}
}

func TestParseList(t *testing.T) {
	items, problems := ParseList("f", []byte("- calls: 1\n  steps: [1, 2]\n- calls: 2\n"), known)
	if len(items) != 2 || len(problems) > 0 || items[1].At != "f:3:3" || items[0].Values["steps"][1].Text != "2" || items[1].Values["calls"][0].Text != "2" {
		t.Errorf("got %+v, %v", items, problems)
	}
	for text, want := range map[string][]string{
		"# nothing":                          nil,
		"calls: 1":                           {"f:1:1: want a list"},
		"- 1\n- cals: 1\n- calls:\n":         {"f:1:3: want a mapping", `f:2:3: unknown key "cals"; did you mean calls?`, "f:3:9: calls has no value"},
		"- calls: 1\n- calls: 2\n  calls: 3": {"f:3:3: calls was given in line 2 already"},
		"- calls: [\n":                       {"f:"},
		"- calls: 1\n---\n- calls: 2":        {"a second document"},
	} {
		_, problems := ParseList("f", []byte(text), known)
		if len(problems) != len(want) {
			t.Errorf("%q: got %v, want %d problems", text, problems, len(want))
			continue
		}
		for i := range want {
			if !strings.Contains(problems[i].Error(), want[i]) {
				t.Errorf("%q: got %q, want %q", text, problems[i], want[i])
			}
		}
	}
}

func TestReadFile(t *testing.T) {
	if _, problems := ReadFile(filepath.Join(t.TempDir(), "absent"), known); len(problems) != 1 || !errors.Is(problems[0], os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", problems)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems := ReadFile(large, known); len(problems) != 1 || !strings.Contains(problems[0].Error(), "larger than 64 KiB") {
		t.Errorf("got %v, want that it is too large", problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("calls: 1\nsteps: [1, 2]\n"))
	f.Add([]byte("calls: &a 1\nduration: *a\n---\n"))
	f.Add([]byte("steps:\n- 1\n-\n? x\n: y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, problems := Parse("f", text, known)
		for key, list := range values {
			for _, v := range list {
				if !strings.HasPrefix(v.At, "f:") || !strings.HasSuffix(v.At, ": "+key) {
					t.Errorf("a value of %s is at %q", key, v.At)
				}
			}
		}
		items, more := ParseList("f", text, known)
		for _, item := range items {
			if !strings.HasPrefix(item.At, "f:") {
				t.Errorf("an item is at %q", item.At)
			}
		}
		for _, p := range append(problems, more...) {
			if !strings.HasPrefix(p.Error(), "f:") {
				t.Errorf("%q does not name the file", p)
			}
		}
	})
}
