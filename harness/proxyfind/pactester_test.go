package proxyfind

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// notInPactester are words of rows that pacparser cannot play: it has neither alert nor Microsoft's
// functions, takes IPv6 for names, looks names up, and takes 255.0 for a mask (Chromium does not).
const notInPactester = `alert( Ex( sortIpAddressList getClientVersion myIpAddress .test ::1 "255.0"`

// pacparser, which has Mozilla's functions, agrees with the table.
func TestHelpersAsPactester(t *testing.T) {
	peers.Need(t, "pactester")
	var table []struct{ expression, want string }
	for _, c := range helperTable {
		skip := false
		for word := range strings.FieldsSeq(notInPactester) {
			skip = skip || strings.Contains(c.expression, word)
		}
		if !skip {
			table = append(table, c)
		}
	}
	var b strings.Builder
	b.WriteString("function FindProxyForURL(url, host) { var r = '';\n")
	for _, c := range table {
		fmt.Fprintf(&b, "try { r += %s + '|'; } catch (e) { r += 'throws|'; }\n", c.expression)
	}
	b.WriteString("return r; }\n")
	out, err := exec.CommandContext(t.Context(), peers.Find("pactester"), "-p", writeFile(t, b.String()), "-u", "https://turn.corp.example/").CombinedOutput()
	got := strings.Split(strings.TrimSpace(string(out)), "|")
	if err != nil || len(got) != len(table)+1 {
		t.Fatalf("%d answers for %d expressions: %v\n%s", len(got)-1, len(table), err, out)
	}
	for i, c := range table {
		if got[i] != c.want {
			t.Errorf("%s is %s in pacparser, we say %s", c.expression, got[i], c.want)
		}
	}
	t.Logf("%d expressions are the same in pacparser", len(table))
}
