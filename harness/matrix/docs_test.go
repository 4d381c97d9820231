package matrix

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/diagnosis"
)

var update = flag.Bool("update", false, "write docs/failures.md")

// docs/failures.md is the catalogue, with how to see each failure in the lab.
func TestFailuresPage(t *testing.T) {
	const page = "../../docs/failures.md"
	played := make(map[string][]string)
	for _, f := range checked {
		command := fmt.Sprintf("turngate lab --fault %s --scheme %s", f.fault, f.scheme)
		played[f.want] = append(played[f.want], command)
	}
	var b strings.Builder
	b.WriteString(`# Failures: every code of check, what causes it, what to do

This page is made of the table that [check](check.md) explains by (` + "`go test ./harness/matrix -run FailuresPage -update`" + `). A code is
stable: programs may decide by it. Where the wire cannot tell two causes apart, the cause names both, and the log that can.
The lab plays most of them, so that you can see what they look like.

`)
	for _, e := range diagnosis.Catalogue {
		fmt.Fprintf(&b, "- [%s](#%s)\n", e.Code, anchor(e.Code))
	}
	for _, e := range diagnosis.Catalogue {
		fmt.Fprintf(&b, "\n## %s\n\n**Cause.** %s.\n\n**What to do.** %s.\n", e.Code, sentence(e.Cause), sentence(e.Action))
		if e.Log != "" {
			fmt.Fprintf(&b, "\n**The log that tells.** %s.\n", sentence(e.Log))
		}
		for i, command := range played[e.Code] {
			if i == 0 {
				b.WriteString("\n**To see it:**\n\n```\n")
			}
			b.WriteString(command + "\n")
			if i == len(played[e.Code])-1 {
				b.WriteString("```\n")
			}
		}
		delete(played, e.Code)
	}
	for code := range played {
		t.Errorf("a fault ends in %s, which the catalogue does not have", code)
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != b.String() {
		t.Errorf("%s says something else than the code: run this test with -update", page)
	}
}

// anchor is the fragment that Markdown renderers make of a heading.
func anchor(code string) string { return strings.ReplaceAll(code, ".", "") }

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
