package ntlm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/turngate/turngate/ntlm"
)

// Every way to print a client or an exchange, and what must not be in it.
func TestNothingPrintsTheSecret(t *testing.T) {
	hash := bytes.Repeat([]byte{0xd7}, 16) // 215 in decimal
	c := ntlm.Client{User: `CORP\alice`, Password: "hunter2-secret", NTHash: hash}
	e, err := c.Begin("proxy", nil)
	must(t, err)
	for _, v := range []any{c, &c, e, *e} {
		outputs := []string{logged(v)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T%[1]v"} {
			outputs = append(outputs, fmt.Sprintf(verb, v))
		}
		for _, out := range outputs {
			if !strings.Contains(out, `CORP\alice`) {
				t.Errorf("%T: got %q, want the account in it", v, out)
			}
			checkSecret(t, out)
		}
	}
	out, err := json.Marshal(c)
	must(t, err)
	checkSecret(t, string(out))
}

func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	return strings.ReplaceAll(b.String(), `\\`, `\`)
}

func checkSecret(t *testing.T, out string) {
	t.Helper()
	for _, secret := range []string{"hunter2", "68756e746572", "D7D7", "d7d7", "215 215", "19cX"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q shows the secret (%s)", out, secret)
		}
	}
}
