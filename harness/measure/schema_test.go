package measure

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

const (
	recordPage   = "../../docs/record.md"
	recordSchema = "../../docs/record.schema.json"
)

var update = flag.Bool("update", false, "write "+recordSchema)

// The page of the record names every field of its types and no other.
func TestRecordPageNamesEveryField(t *testing.T) {
	page := readPage(t)
	types := recordTypes()
	for name, typ := range types {
		want := fieldNames(typ)
		if got := slices.Sorted(maps.Keys(page[name])); !slices.Equal(got, want) {
			t.Errorf("the table under %q has %q, and the type %q", "### "+name, got, want)
		}
	}
	for name := range page {
		if types[name] == nil {
			t.Errorf("the page has a table of %s, which is no type of a record", name)
		}
	}
}

// The schema that is handed out is what the types give, with the page's words.
func TestRecordSchemaIsOfTheTypes(t *testing.T) {
	text := schemaText(t)
	if *update {
		if err := os.WriteFile(recordSchema, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(recordSchema)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, text) {
		t.Errorf("%s is not what the types and the page give: go test ./harness/measure -update writes it anew", recordSchema)
	}
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	root := &jsonschema.Schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", Title: "A record of turngate load or size, format 1",
		Ref: reference("Record").Ref, Defs: make(map[string]*jsonschema.Schema),
	}
	page, types := readPage(t), recordTypes()
	for name, typ := range types {
		s, err := jsonschema.ForType(typ, &jsonschema.ForOptions{TypeSchemas: others(types, typ)})
		if err != nil {
			t.Fatal(err)
		}
		s.AdditionalProperties = nil // fields are added
		for field, property := range s.Properties {
			orNull(property)
			property.Description = page[name][field]
		}
		root.Defs[name] = s
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// others are the schemas of what a type's fields may hold.
func others(types map[string]reflect.Type, self reflect.Type) map[reflect.Type]*jsonschema.Schema {
	list := map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Latency]():   reference("Latency"),
		reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
		reflect.TypeFor[Verdict]():   {Type: "string", Enum: []any{Pass, Fail, Void, Verdict("")}},
	}
	for name, typ := range types {
		if typ != self {
			list[typ] = reference(name)
		}
	}
	return list
}

func reference(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

// orNull mends what the library makes of a pointer to something that stands elsewhere.
func orNull(s *jsonschema.Schema) {
	if s.Ref != "" && slices.Contains(s.Types, "null") {
		s.AnyOf, s.Ref, s.Types = []*jsonschema.Schema{{Type: "null"}, {Ref: s.Ref}}, "", nil
	}
}

// recordTypes are the structs that a record is made of, as they stand in JSON.
func recordTypes() map[string]reflect.Type {
	found := make(map[string]reflect.Type)
	collect(reflect.TypeFor[Record](), found)
	return found
}

func collect(t reflect.Type, found map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		collect(t.Elem(), found)
		return
	case reflect.Struct:
	default:
		return
	}
	name := t.Name()
	if t == reflect.TypeFor[time.Time]() || found[name] != nil {
		return
	}
	if t == reflect.TypeFor[Latency]() {
		t = reflect.TypeFor[latencyJSON]()
	}
	found[name] = t
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			collect(f.Type, found)
		}
	}
}

func fieldNames(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

var (
	typeHeading = regexp.MustCompile(`^### (\w+)`)
	fieldRow    = regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]*) \\| (.+) \\|$")
)

// readPage returns what the page says of the fields of each type: unit and meaning.
func readPage(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(recordPage)
	if err != nil {
		t.Fatal(err)
	}
	page, fields := make(map[string]map[string]string), map[string]string(nil)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := typeHeading.FindStringSubmatch(line); m != nil {
			fields = make(map[string]string)
			page[m[1]] = fields
		}
		if m := fieldRow.FindStringSubmatch(line); m != nil && fields != nil {
			fields[m[1]] = strings.ReplaceAll(strings.TrimSpace(m[2])+": "+m[3], "`", "")
		}
	}
	return page
}
