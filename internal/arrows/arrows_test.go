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
	"internal/attempts":     "",
	"internal/genbench":     "harness/measure internal/peers",
	"internal/relaybench":   "turntcp internal/peers",
	"internal/conformtable": "harness/conformance turntcp internal/peers",
	"internal/knownanswers": "harness/lab harness/loadgen harness/measure harness/report harness/sizing",
	"internal/firstbytes":   "",
	"internal/junit":        "",
	"internal/flatyaml":     "",

	// mechanisms
	"ntlm":                   "ntlm/internal/nlmp ntlm/internal/spnego",
	"ntlm/internal/nlmp":     "",
	"ntlm/internal/spnego":   "",
	"ntlm/ntlmtest":          "ntlm ntlm/internal/nlmp ntlm/internal/spnego",
	"kerberos":               "kerberos/internal/gss kerberos/internal/krb5",
	"kerberos/internal/gss":  "kerberos/internal/krb5",
	"kerberos/internal/krb5": "",
	"kerberos/kerberostest":  "kerberos kerberos/internal/gss kerberos/internal/krb5",

	// carriers
	"proxyconnect": "",
	"turntcp":      "",

	// what makes the server a service
	"service": "turntcp",

	// witnesses
	"harness/credentials":   "proxyconnect ntlm kerberos",
	"harness/proxyfind":     "harness/credentials",
	"harness/diagnosis":     "proxyconnect turntcp ntlm kerberos harness/credentials harness/proxyfind internal/junit",
	"harness/measure":       "",
	"harness/probe":         "",
	"harness/report":        "harness/measure harness/report/chart internal/junit",
	"harness/sizing":        "harness/measure",
	"harness/report/chart":  "",
	"harness/lab":           "harness/lab/testproxy harness/lab/realstack ntlm/ntlmtest kerberos/kerberostest turntcp",
	"harness/lab/child":     "harness/lab internal/firstbytes",
	"harness/lab/testproxy": "",
	"harness/lab/realstack": "",

	// stages
	"harness/watch":       "harness/diagnosis",
	"harness/loadgen":     "turntcp harness/measure",
	"harness/fleet":       "harness/loadgen harness/measure internal/firstbytes",
	"harness/loadtest":    "proxyconnect turntcp harness/fleet harness/loadgen harness/measure harness/sizing",
	"harness/conformance": "harness/credentials internal/junit",
	"harness/matrix":      "proxyconnect turntcp harness/credentials harness/diagnosis harness/measure harness/lab harness/report",
	"harness/live":        "harness/loadtest harness/measure",
	"cmd/turngate":        "harness/live harness/proxyfind harness/conformance internal/flatyaml harness/lab/child harness/fleet harness/loadgen harness/loadtest harness/measure harness/sizing proxyconnect turntcp service harness/credentials harness/diagnosis harness/lab harness/lab/testproxy harness/matrix harness/report harness/watch harness/probe",
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
