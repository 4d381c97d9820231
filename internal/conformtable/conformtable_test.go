package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/conformance"
	"github.com/turngate/turngate/internal/peers"
)

// A line is one of the checklist of what the RFCs demand of a server over streams that the suite was made from:
// its tests, and those that pion/turn v5.1.3 was found to fail by its code or by running it.
type line struct {
	text  string
	tests string // patterns
	pion  string // patterns of those that stock pion must fail
}

var checklist = []line{
	{"1 ChannelData over streams: padding, length 0", "framing.channeldata-*", "framing.channeldata-small-up framing.channeldata-empty-up"},
	{"2 whole datagrams up to 64 KB", "framing.large* data.*-large", "framing.large-* framing.largest-down data.*-large"},
	{"3 reserved first byte, no loop", "framing.reserved-first-byte framing.length-65535", ""},
	{"4 no retransmission, same connection, pipelining", "framing.no-retransmission framing.pipelined framing.mixed framing.split binding.*", ""},
	{"5 close ends the allocation", "framing.close-ends-allocation", ""},
	{"6 401, 438, 400", "auth.challenge auth.wrong-password auth.unknown-user auth.stale-nonce auth.missing-* auth.*-unsigned", ""},
	{"7 realm compared, fresh nonces", "auth.realm auth.fresh-nonce", "auth.realm auth.fresh-nonce"},
	{"8 RFC 8489's options are not announced unless offered", "auth.features-consistent auth.sha256 extension.userhash", ""},
	{"9 441", "auth.other-user-*", "auth.other-user-*"},
	{"10 437, or silence", "errors.no-allocation-*", "errors.no-allocation-refresh errors.no-allocation-permission errors.no-allocation-channel"},
	{"11 420, signatures, SOFTWARE, FINGERPRINT", "errors.unknown-* auth.success-signed auth.error-signed auth.behind-signature errors.software errors.fingerprint", ""},
	{"12 REQUESTED-TRANSPORT, 437, retransmitted Allocate", "allocate.success allocate.no-transport allocate.malformed-transport allocate.unsupported-transport allocate.twice allocate.same-transaction", ""},
	{"13 DONT-FRAGMENT", "allocate.dont-fragment data.send-dont-fragment", "data.send-dont-fragment"},
	{"14 EVEN-PORT, RESERVATION-TOKEN", "allocate.even-port* allocate.reservation* allocate.token-*", "allocate.even-port-no-token allocate.reservation-held"},
	{"15 address families", "allocate.family-* allocate.both-families allocate.additional-ipv4 allocate.dual ipv6.*", ""},
	{"16 lifetimes", "lifetime.*", "lifetime.allocate-short lifetime.allocate-zero lifetime.allocate-long lifetime.refresh-short lifetime.refresh-long"},
	{"17 quota, try alternate, ports", "allocate.quota allocate.port-* extension.alternate-server", ""},
	{"Refresh", "refresh.*", ""},
	{"18 permission lifetime, addresses only", "permission.expires* permission.refreshed permission.again permission.several permission.port-ignored", "permission.expires-bound"},
	{"19 CreatePermission", "permission.no-peer permission.malformed-peer permission.family permission.forbidden permission.all-or-nothing", "permission.all-or-nothing"},
	{"20 ChannelBind", "channel.*", "channel.too-high channel.forbidden"},
	{"21 Send and Data", "data.send data.send-empty data.indication data.send-[wmuo]* data.icmp permission.without-*", ""},
	{"RFC 6062", "tcp.*", "tcp.over-udp tcp.even-port tcp.token"},
	{"others: ALPN and TLS, OAuth, mobility", "tls.* extension.oauth extension.mobility", ""},
}

func matches(patterns, id string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		ok, err := path.Match(p, id)
		return ok && err == nil
	})
}

func TestChecklist(t *testing.T) {
	known := make(map[string]bool) // patterns that match something
	for _, test := range conformance.Tests() {
		covered := false
		for _, l := range checklist {
			for _, p := range strings.Fields(l.tests + " " + l.pion) {
				known[p] = known[p] || matches(p, test.ID)
			}
			covered = covered || matches(l.tests, test.ID)
		}
		if !covered {
			t.Errorf("%s belongs to no line", test.ID)
		}
	}
	for _, l := range checklist {
		for _, p := range strings.Fields(l.tests + " " + l.pion) {
			if !known[p] {
				t.Errorf("line %s: no test is %s", l.text, p)
			}
		}
	}
}

// judged puts a server to all tests but the slow ones.
func judged(t *testing.T, name string, options conformance.Options) column {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("the table is of a machine with IPv6: %v", err)
	}
	l.Close()
	c, err := judge(t.Context(), name, options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTurngate(t *testing.T) {
	t.Parallel()
	c := judged(t, "turngate", conformance.Options{})
	if c.tcp.Count(conformance.Fail)+c.tls.Count(conformance.Fail) > 0 {
		var b bytes.Buffer
		_ = c.explain(&b)
		t.Error(b.String())
	}
	compare(t, &c, "")
}

// chance are those that depend on who else takes ports just then: pion opens no socket for one that it reserves.
const chance = "allocate.reservation allocate.reservation-once allocate.even-port"

func TestPion(t *testing.T) {
	t.Parallel()
	// It leaves dozens of requests in silence.
	c := judged(t, "pion", conformance.Options{Timeout: 3 * time.Second, Parallel: 16})
	for _, r := range c.tcp.Results {
		for _, l := range checklist {
			if matches(l.pion, r.ID) && r.Outcome != conformance.Fail {
				t.Errorf("line %s: %s: got %s, want it to fail on stock pion", l.text, r.ID, r.Outcome)
			}
		}
	}
	compare(t, &c, chance)
}

// An expired permission does not keep pion from relaying through a bound channel. It takes five minutes to see
// it on pion as it comes.
func TestPionExpiredPermission(t *testing.T) {
	t.Parallel()
	const lasts = 2 * time.Second
	pki, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := start(t.Context(), "pion", pki, settings{permission: lasts})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.stop()
	report, err := conformance.Run(t.Context(), srv.target(nil), conformance.Options{
		Run: []string{"permission.expires*", "permission.refreshed", "channel.refreshes-permission"}, Slow: true, PermissionLifetime: lasts,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		want := conformance.Pass
		if r.ID == "permission.expires-bound" {
			want = conformance.Fail
		}
		if r.Outcome != want {
			t.Errorf("%s: got %s (%s), want %s", r.ID, r.Outcome, r.Reason, want)
		}
	}
}

// What coturn does is coturn's: here it only must be there to be asked.
func TestCoturn(t *testing.T) {
	peers.Need(t, "turnserver")
	t.Parallel()
	c := judged(t, "coturn", conformance.Options{})
	if n := c.tcp.Count(conformance.Pass); n < 100 {
		t.Errorf("%d tests pass", n)
	}
	for _, difference := range differences(t, &c, "") {
		t.Log(difference)
	}
}

const document = "../../docs/conformance.md"

// compare holds the table in the document against what was found just now.
func compare(t *testing.T, c *column, except string) {
	t.Helper()
	for _, difference := range differences(t, c, except) {
		t.Errorf("docs/conformance.md: %s; make it anew: go run ./internal/conformtable -slow -write docs/conformance.md", difference)
	}
}

func differences(t *testing.T, c *column, except string) (list []string) {
	t.Helper()
	documented := documented(t, c.name)
	for _, test := range conformance.Tests() {
		said, ok := documented[test.ID]
		delete(documented, test.ID)
		switch {
		case !ok || said == "":
			list = append(list, test.ID+" is missing")
		case test.Slow, matches(except, test.ID):
		case said != emphasis(c.outcome(test.ID)):
			list = append(list, fmt.Sprintf("%s: %s says %s, now it is %s", test.ID, c.name, said, c.outcome(test.ID)))
		}
	}
	for id := range documented {
		list = append(list, id+" is no test")
	}
	return list
}

// documented is a column of the table in the document.
func documented(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := readColumn(b, name)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return outcomes
}

// A slow test that was not run keeps its outcome, and counts.
func TestKeepSlow(t *testing.T) {
	file := path.Join(t.TempDir(), "doc.md")
	text := begin + "\n| test | level | section | what a server does | ours |\n|---|---|---|---|---|\n" +
		"| permission.expires | MUST | s | t | **fail** |\n| tls.alpn | SHOULD | s | t | pass |\n" + end
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	columns := []column{{name: "ours", tcp: conformance.Report{Results: []conformance.Result{{ID: "auth.realm", Outcome: conformance.Pass}}}}}
	if err := keepSlow(file, columns); err != nil {
		t.Fatal(err)
	}
	got := string(table(columns))
	for _, want := range []string{"| auth.realm | MUST |", "| **fail** |\n", "| **1** |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "tls.alpn") {
		t.Error("a quick test that was not run is kept")
	}
}

func TestReplace(t *testing.T) {
	file := path.Join(t.TempDir(), "doc.md")
	for _, tt := range []struct{ before, after string }{
		{"head\n" + begin + "\nold\n" + end + "\ntail\n", "head\n" + begin + "\nnew\n" + end + "\ntail\n"},
		{"no markers\n", ""},
	} {
		if err := os.WriteFile(file, []byte(tt.before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := replace(file, []byte("new\n"))
		got, _ := os.ReadFile(file)
		if tt.after == "" && (err == nil || string(got) != tt.before) || tt.after != "" && string(got) != tt.after {
			t.Errorf("%q became %q, %v", tt.before, got, err)
		}
	}
}
