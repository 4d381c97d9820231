// Package arrows keeps the drawing of the packages true: who may import whom.
package arrows

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/turngate/turngate/"

// drawing says for each package of ours which others of ours it may import. An import goes from
// stage to witness to carrier to mechanism, never back.
var drawing = map[string]string{
	"internal/peers":        "",
	"internal/arrows":       "",
	"proxyconnect":          "",
	"ntlm":                  "",
	"ntlm/ntlmtest":         "ntlm",
	"kerberos":              "",
	"kerberos/kerberostest": "kerberos",
	"turntcp":               "",
	"harness/credentials":   "proxyconnect ntlm kerberos",
	"harness/measure":       "",
	"harness/lab":           "ntlm/ntlmtest kerberos/kerberostest turntcp internal/peers",
	"harness/matrix":        "proxyconnect turntcp harness/credentials harness/measure harness/lab harness/report",
	"harness/report":        "harness/measure",
	"cmd/turngate":          "proxyconnect turntcp harness/credentials harness/lab harness/matrix harness/report",
}

func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		allowed, ok := drawing[pkg]
		if !ok {
			t.Errorf("%s stands nowhere in the drawing", pkg)
			continue
		}
		seen++
		for _, imported := range fields[1:] {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && !strings.Contains(" "+allowed+" ", " "+ours+" ") {
				t.Errorf("%s imports %s, against the drawing", pkg, ours)
			}
		}
	}
	if seen == 0 {
		t.Fatal("go list named no package of ours")
	}
}
