package junit

import (
	"strings"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	err := Write(&b, Suite{Name: "s", Time: Seconds(1.5), Timestamp: Timestamp(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), Cases: []Case{
		{Name: "pass", Properties: Properties{{"rtt", "1"}}},
		{Name: "fail", Failure: &Message{Type: "code", Message: `"<"`, Text: "<text>"}},
		{Name: "error", Error: &Message{Message: "m"}},
		{Name: "skip", Skipped: &Message{Message: "m"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<testsuite name="s" tests="4" failures="1" errors="1" skipped="1" time="1.500" timestamp="2026-01-02T03:04:05">`,
		`<property name="rtt" value="1"></property>`,
		`<failure type="code" message="&#34;&lt;&#34;">&lt;text&gt;</failure>`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is missing in\n%s", want, b.String())
		}
	}
	if strings.Count(b.String(), "<properties>") != 1 {
		t.Errorf("properties where there are none:\n%s", b.String())
	}
}
