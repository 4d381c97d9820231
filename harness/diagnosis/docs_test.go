package diagnosis

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of codes into docs/check.md")

// The documentation's table of codes is the catalogue.
func TestDocumentation(t *testing.T) {
	const page, begin, end = "../../docs/check.md", "<!-- codes: begin -->\n", "<!-- codes: end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the codes", page)
	}
	var table strings.Builder
	table.WriteString("| code | cause | what to do |\n|---|---|---|\n")
	for _, e := range Catalogue {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", e.Code, e.Cause, e.Action)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s has another table of codes than the code: go test ./harness/diagnosis -run Documentation -update", page)
	}
}
